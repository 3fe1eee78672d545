"""VIPR certificates of proofs of games, read by a small checker of that format, written from its specification alone."""

from fractions import Fraction as Q

import numpy as np
import pytest

import stackopt as so
from stackopt.proof.games import prove_game
from stackopt.proof.mean_field import prove_mean_field
from stackopt.proof.vipr import vipr


class Wrong(Exception):
    pass


def that(holds, why):
    if not holds:
        raise Wrong(why)


def verified(text):
    """(lower, upper) of a certificate of the optimum of a minimum, in the format VIPR 1.0; raises if a step does not hold."""
    words = iter(text.split())

    def expect(word):
        that(next(words) == word, f"expected {word}")

    def integer():
        return int(next(words))

    def sparse():
        row = {}
        for _ in range(integer()):
            j = integer()
            that(j not in row, "an index twice")
            row[j] = Q(next(words))
        return {j: v for j, v in row.items() if v}

    expect("VER"), expect("1.0"), expect("VAR")
    n = integer()
    for _ in range(n):
        next(words)
    expect("INT")
    ints = {integer() for _ in range(integer())}
    expect("OBJ"), expect("min")
    cost = sparse()

    def constraint():
        next(words)
        sense, right = next(words), Q(next(words))
        word = next(words)
        if word == "OBJ":
            return cost, sense, right
        row = {}
        for _ in range(int(word)):
            j = integer()
            row[j] = Q(next(words))
        return {j: v for j, v in row.items() if v}, sense, right

    expect("CON")
    m, _ = integer(), integer()
    known = [constraint() for _ in range(m)]
    assumptions = [frozenset() for _ in known]
    expect("RTP"), expect("range")
    low, up = Q(next(words)), Q(next(words))
    expect("SOL")
    best = None
    for _ in range(integer()):
        next(words)
        v = sparse()
        that(all(v.get(j, Q(0)).denominator == 1 for j in ints), "a solution that is not an integer")
        for row, sense, right in known:
            value = sum(a * v.get(j, 0) for j, a in row.items())
            that({"E": value == right, "L": value <= right, "G": value >= right}[sense], "a solution breaks a row")
        value = sum(c * v.get(j, 0) for j, c in cost.items())
        best = value if best is None else min(best, value)
    that(best is not None and best <= up, "no solution attains the upper bound")

    def dominates(one, other):
        (row, sense, right), (wanted, kind, least) = one, other
        absurd = not row and {"G": right > 0, "L": right < 0, "E": right != 0}[sense]
        same = row == wanted
        return absurd or (same and ((kind == "G" and sense in "GE" and right >= least) or (kind == "L" and sense in "LE" and right <= least)))

    expect("DER")
    for _ in range(integer()):
        new = constraint()
        expect("{")
        reason = next(words)
        if reason == "asm":
            assumed = frozenset([len(known)])
        elif reason == "lin":
            parts = sparse()
            row, right, signs, assumed = {}, Q(0), set(), frozenset()
            for i, weight in parts.items():
                that(0 <= i < len(known), "a constraint that is not known yet")
                left, sense, b = known[i]
                signs.add({"G": 1, "L": -1, "E": 0}[sense] * (1 if weight > 0 else -1))
                right, assumed = right + weight * b, assumed | assumptions[i]
                for j, a in left.items():
                    row[j] = row.get(j, Q(0)) + weight * a
            that(not {1, -1} <= signs, "no suitable combination")
            sense = "G" if 1 in signs else "L" if -1 in signs else "E"
            that(dominates(({j: v for j, v in row.items() if v}, sense, right), new), "the combination does not give the constraint")
        else:
            that(reason == "uns", reason)
            i1, l1, i2, l2 = integer(), integer(), integer(), integer()
            that(max(i1, l1, i2, l2) < len(known) and dominates(known[i1], new) and dominates(known[i2], new), "a branch does not give the constraint")
            (a, s1, b1), (c, s2, b2) = known[l1], known[l2]
            if s1 == "G":
                (a, s1, b1), (c, s2, b2) = (c, s2, b2), (a, s1, b1)
            whole = all(j in ints and v.denominator == 1 for j, v in a.items()) and b1.denominator == 1
            that(a == c and (s1, s2) == ("L", "G") and b2 == b1 + 1 and whole, "no disjunction of integers")
            assumed = (assumptions[i1] - {l1}) | (assumptions[i2] - {l2})
        expect("}")
        next(words)
        known.append(new)
        assumptions.append(assumed)
    that(not assumptions[-1] and dominates(known[-1], (cost, "G", low)), "the last constraint is not the claim")
    that(next(words, None) is None, "text after the end")
    return low, up


def random_game(seed, leader_moves=False):
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 11, (2, 3, 2, 2)).astype(float)
    transition = np.zeros((3, 2, 2, 3))
    for s, a, b in np.ndindex(3, 2, 2):
        transition[s, a, b] = transition[s, 0, b] if a and not leader_moves else np.bincount(rng.integers(0, 3, 4), minlength=3) / 4
    return so.StackelbergGame(*rewards, transition, discount=0.75, initial=[0.5, 0.25, 0.25])


def test_the_checker_here_knows_right_from_wrong():
    right = "VER 1.0 VAR 2 x y INT 2 0 1 OBJ min 2 0 1 1 1 CON 2 0 C1 G 1 2 0 4 1 1 C2 L 2 2 0 4 1 -1 RTP range {} 1 SOL 1 best 1 1 1 DER 1 C3 G {} OBJ "
    right += "{{ lin 2 0 5/8 1 -3/8 }} -1"
    assert verified(right.format("-1/8", "-1/8")) == (Q(-1, 8), 1)
    with pytest.raises(Wrong):
        verified(right.format("1", "1"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("leader", ["randomised", "deterministic"])
def test_certificates_of_games_are_accepted(leader, seed):
    proof = prove_game(random_game(seed, leader == "deterministic"), leader)
    assert verified(vipr(proof.problem, proof.text)) == (-proof.upper, -proof.lower)


def test_certificates_of_stagewise_games_and_of_populations():
    proof = prove_game(so.catalog.build("commitment_2x2"))
    assert verified(vipr(proof.problem, proof.text)) == (Q(-7, 2), Q(-7, 2))
    go = np.zeros((2, 2, 2))
    go[:, 0, 0] = go[:, 1, 1] = 1.0
    crowd = so.MeanFieldStackelbergGame(
        so.Stationary(discount=0.5), reward=np.zeros((2, 2)), transition=go, reward_population=np.eye(2)[:, None].repeat(2, 1),
        leader_reward=[[1.0, 1.0], [0.0, 0.0]],
    )  # fmt: skip
    assert verified(vipr(*texts(prove_mean_field(crowd)))) == (-1, -1)
    assert verified(vipr(*texts(prove_mean_field(crowd, "worst")))) == (0, 0)


def texts(proof):
    return proof.problem, proof.text


def test_damaged_certificates_are_rejected():
    text = vipr(*texts(prove_game(random_game(2), "randomised")))
    assert "uns" in text
    low = text.split("RTP range ")[1].split()[0]
    for old, new in (("{ asm }", "{ lin 0 }"), (f"range {low}", f"range {Q(low) + 1}"), ("best ", "best 0 % "), ("lin 1", "lin 2")):
        if old in text:
            with pytest.raises((Wrong, ValueError, StopIteration)):
                verified(text.replace(old, new, 1))


def test_other_proofs_have_none():
    with pytest.raises(so.errors.InvalidProgram, match="no pairs") as found:
        vipr("{}", "stackopt-proof 1\n")
    assert found.value.code == "vipr-form"
