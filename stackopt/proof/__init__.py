"""Results with a proof in exact arithmetic: the checker (`check`), and how proofs are found, put right and shortened."""
