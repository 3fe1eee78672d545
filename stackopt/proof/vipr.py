"""Proofs of games as VIPR certificates, the format that exact mixed-integer solvers write and other people's checkers read.

The tree maps one to one: a decision is an assumption (``asm``), a leaf a linear combination of rows, bounds and assumptions (``lin``), a branching the
discharge of its two assumptions (``uns``). See "VIPR: Verifying integer programming results", Cheung, Gleixner & Steffy, 2017, format 1.0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from stackopt.errors import InvalidProgram
from stackopt.proof import check_games, check_mean_field
from stackopt.proof.check import Row, System, load, number, vector

if TYPE_CHECKING:
    from collections.abc import Iterator


def vipr(problem: str, text: str) -> str:
    """The certificate of a proof of a game or mean-field game: of the mixed-integer program that the checker writes.

    Parameters
    ----------
    problem, text : str
        The game's JSON and the proof, which the checker accepts.

    Raises
    ------
    InvalidProgram
        [vipr-form] if the proof is of another kind.

    Examples
    --------
    >>> import stackopt as so
    >>> proof = so.solve(so.catalog.build("commitment_2x2"), so.Exact()).proof
    >>> print(vipr(proof.problem, proof.text).split("RTP")[1].split("SOL")[0].strip())
    range -7/2 -7/2
    """
    first, *lines = text.split("\n")
    word, _, kind = (*first.split(), "", "")[:3]
    if word == "stackopt-game-proof":
        values = {} if kind == "stagewise" else {key: [number(v) for v in line.split()[1:]] for key, line in zip(check_games.VALUES, lines)}
        system: System = check_games.lower_game(check_games.read(problem), kind, values)
    elif word == "stackopt-mean-field-proof":
        game = check_mean_field.Followers(load(problem))
        system = check_mean_field.lower_followers(game, 1 if kind == "best" else -1, *check_mean_field.ranges(game, lines))
    else:
        raise InvalidProgram("vipr-form", where=f"the proof begins with {word or 'nothing'!r}")
    body = iter(lines[lines.index("stackopt-proof 1") + 1 :])
    fields = {}
    for line in body:
        if line == "tree":
            break
        key, *rest = line.split()
        fields[key] = rest
    return "\n".join(_Certificate(system, fields, body).lines()) + "\n"


class _Certificate:
    def __init__(self, S: System, fields: dict[str, list[str]], tree: Iterator[str]) -> None:
        self.S, self.fields, self.tree = S, fields, tree
        self.derived, self.leaves = list[str](), list[tuple[str, Row]]()
        self.first = 2 * len(S.lb) + len(S.rows)
        self.least = number(fields["lower"][0])

    def lines(self) -> list[str]:
        S, n = self.S, len(self.S.lb)
        point = vector(self.fields["point"], n)
        self.node({})
        bounds = [line for j in range(n) for line in (f"L{j} G {S.lb[j]} 1 {j} 1", f"U{j} L {S.ub[j]} 1 {j} 1")]
        rows = [f"R{i} {'E' if equal else 'G'} {b} {_sparse(c)}" for i, (c, equal, b) in enumerate(S.rows)]
        return [
            "VER 1.0", f"VAR {n}", *(f"v{j}" for j in range(n)), f"INT {len(S.ints)}", " ".join(map(str, S.ints)), "OBJ min", _sparse(S.cost),
            f"CON {2 * n + len(rows)} {2 * n}", *bounds, *rows, f"RTP range {self.fields['lower'][0]} {self.fields['upper'][0]}",
            "SOL 1", f"best {_sparse(point)}", f"DER {len(self.derived)}", *self.derived,
        ]  # fmt: skip

    def derive(self, constraint: str, reason: str) -> int:
        """Append a derived constraint; its index."""
        at = self.first + len(self.derived)
        self.derived.append(f"D{at} {constraint} {{ {reason} }} -1")
        return at

    def node(self, assumed: dict[tuple[int, str], int]) -> int:
        """Derive that the objective is at least the claim, or an absurdity, under assumptions by (column, side); the index."""
        op, *arg = next(self.tree).split()
        if op == "i":
            j, k = map(int, arg)
            below = self.derive(f"L {k} 1 {j} 1", "asm")
            left = self.node({**assumed, (j, "U"): below})
            above = self.derive(f"G {k + 1} 1 {j} 1", "asm")
            right = self.node({**assumed, (j, "L"): above})
            return self.derive(f"G {self.least - self.S.const} OBJ", f"uns {left} {below} {right} {above}")
        if op == "r":
            op, weights = self.leaves[int(arg[0])]
        else:
            weights = vector(arg, len(self.S.rows))
            self.leaves.append((op, weights))
        return self.leaf(op, weights, assumed)

    def leaf(self, op: str, weights: Row, assumed: dict[tuple[int, str], int]) -> int:
        S, n = self.S, len(self.S.lb)
        reduced: Row = dict(S.cost) if op == "d" else {}
        total, parts = Fraction(0), dict[int, Fraction]()
        for i, w in weights.items():
            c, _, b = S.rows[i]
            parts[2 * n + i], total = w, total + w * b
            for j, a in c.items():
                reduced[j] = reduced.get(j, Fraction(0)) - w * a
        for j, r in reduced.items():
            if r:
                side, bound = ("L", S.lb[j]) if r > 0 else ("U", S.ub[j])
                fixed = assumed.get((j, side))
                value = Fraction(bound or 0) if fixed is None else Fraction(side == "L")
                at = 2 * j + (side == "U") if fixed is None else fixed
                parts[at], total = r, total + r * value
        reason = f"lin {_sparse(parts)}"
        return self.derive(f"G {total} OBJ" if op == "d" else f"G {total} 0", reason)


def _sparse(row: Row) -> str:
    kept = [(j, v) for j, v in sorted(row.items()) if v]
    return " ".join([str(len(kept)), *(f"{j} {v}" for j, v in kept)])
