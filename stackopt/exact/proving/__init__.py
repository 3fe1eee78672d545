"""A second search whose every closed cell has a certificate in rational arithmetic, with the first one's optimum as cutoff.

It works on the checker's own system (`stackopt.proof.floats`), depth first, and returns a tree. Each leaf knows which decisions it uses: if
the first part of a branching never uses its decision, that part is the tree of the whole cell and the second part is never searched. What has
no certificate when time is up is closed by the best bound there is, and the proof states an interval.
"""
