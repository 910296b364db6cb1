"""Which actors belong together, given what each shares with others.

Tying everybody who shares anything (single linkage) chains two operations through one bystander who
happens to share something with both.  Three steps avoid it, all deterministic:

1. Actors that share a *strong* key (the wording of unusual queries) start as one community; every
   other actor starts with its rarest key.
2. Labels propagate (Raghavan et al. 2007) between actors and keys in turn: a key takes the label of
   most of its actors, an actor the label its keys weigh most for.  A key weighs by its rarity
   (inverse document frequency) and a strong one twice.  Updating the two sides of the graph in turn
   cannot oscillate as updating all nodes at once can.
3. Communities become one where at least half of the members of *each* hold the same key: an
   operation that rotates its wording still shares its client, and one shared bystander does not
   count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Fewest actors of a community.
LEAST_ACTORS = 3
#: A key shared by a larger share of all actors is a fashion, not a fingerprint.
_COMMON_SHARE = 0.5
_STRONG_WEIGHT = 2.0
#: Share of the members of each of two communities that hold a key that makes them one.
_HALF = 0.5
#: Labels settle in two or three rounds; more would only matter on adversarial graphs.
_ROUNDS = 20


def communities(
    actor: I64, key: NDArray[np.uint64], strong: Bools, count: int
) -> tuple[I64, Bools]:
    """Group actors by what they share.

    Args:
        actor: actor of each entry (an actor holds a key).
        key: key of each entry.
        strong: whether the entry's key may join actors by itself.
        count: number of actors.

    Returns:
        Community per actor (-1: fewer than three actors; numbered by first actor), and per entry
        whether its key links its actor to the actor's community.
    """
    label = np.full(count, -1, np.int64)
    _, place = np.unique(key, return_inverse=True)
    pairs, entry = np.unique(np.stack([place, actor]), axis=1, return_inverse=True)
    keys, actors = pairs.astype(np.int64)
    number = int(keys.max(initial=-1)) + 1
    sharing = np.bincount(keys, minlength=number)
    fits = (sharing >= LEAST_ACTORS) & (sharing <= max(LEAST_ACTORS, _COMMON_SHARE * count))
    chosen = fits[keys]
    if not chosen.any():
        return label, np.zeros(len(key), np.bool_)
    sturdy = np.zeros(number, np.bool_)
    sturdy[place[strong]] = True
    weight = np.log(1.0 + count / np.maximum(sharing, 1)) * np.where(sturdy, _STRONG_WEIGHT, 1.0)
    held, who = keys[chosen], actors[chosen]
    found = _begin(held, who, sturdy, weight, count)
    every = np.ones(len(held))
    for _ in range(_ROUNDS):
        of_key = _plurality(held, found[who], every, np.full(number, -1))
        moved = _plurality(who, of_key[held], weight[held], found)
        if np.array_equal(moved, found):
            break
        found = moved
    found = _joined(held, who, found, number)
    touched = np.unique(who)
    _, first, inverse, size = np.unique(
        found[touched], return_index=True, return_inverse=True, return_counts=True
    )
    large = size >= LEAST_ACTORS
    rank = np.full(len(size), -1, np.int64)
    rank[np.flatnonzero(large)[np.argsort(first[large])]] = np.arange(int(large.sum()))
    label[touched] = rank[inverse]
    return label, _linking(keys, actors, chosen, label, number)[entry]


def _begin(held: I64, who: I64, sturdy: Bools, weight: F64, count: int) -> I64:
    """Label actors by their component over strong keys, else by their heaviest key."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    firm = sturdy[held]
    size = count + len(sturdy)
    ends = (who[firm], held[firm] + count)
    graph = coo_matrix((np.ones(int(firm.sum()), np.int8), ends), shape=(size, size))
    parts, component = connected_components(graph, directed=False)
    label = np.asarray(component[:count], np.int64)
    loose = np.ones(count, np.bool_)
    loose[who[firm]] = False
    order = np.lexsort((held, -weight[held], who))
    first = np.ones(len(order), np.bool_)
    first[1:] = who[order][1:] != who[order][:-1]
    best = order[first]
    best = best[loose[who[best]]]
    label[who[best]] = parts + held[best]
    return label


def _plurality(owner: I64, label: I64, weight: F64, current: I64) -> I64:
    """Return per owner the label of most weight: on ties the current one, else the smallest."""
    order = np.lexsort((label, owner))
    owner, label = owner[order], label[order]
    begin = np.ones(len(owner), np.bool_)
    begin[1:] = (owner[1:] != owner[:-1]) | (label[1:] != label[:-1])
    starts = np.flatnonzero(begin)
    # Rounded, so that the order of summing cannot break a tie.
    total = np.round(np.add.reduceat(weight[order], starts), 9)
    owner, label = owner[starts], label[starts]
    order = np.lexsort((label, current[owner] != label, -total, owner))
    owner, label = owner[order], label[order]
    first = np.ones(len(owner), np.bool_)
    first[1:] = owner[1:] != owner[:-1]
    out = current.copy()
    out[owner[first]] = label[first]
    return out


def _joined(held: I64, who: I64, label: I64, keys: int) -> I64:
    """Join communities of three or more of whose members at least half hold one key each."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    touched = np.unique(who)
    names, members = np.unique(label[touched], return_counts=True)
    community = np.searchsorted(names, label[who])
    pair, holders = np.unique(np.stack([community, held]), axis=1, return_counts=True)
    size = members[pair[0]]
    shared = (holders >= _HALF * size) & (size >= LEAST_ACTORS)
    nodes = len(names) + keys
    ends = (pair[0, shared], pair[1, shared] + len(names))
    graph = coo_matrix((np.ones(int(shared.sum()), np.int8), ends), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    out = label.copy()
    out[touched] = component[np.searchsorted(names, label[touched])]
    return out


def _linking(keys: I64, actors: I64, chosen: Bools, label: I64, number: int) -> Bools:
    """Return which (key, actor) pairs tie the actor to its own community."""
    out = np.zeros(len(keys), np.bool_)
    inside = np.flatnonzero(chosen & (label[actors] >= 0))
    if inside.size:
        packed = label[actors[inside]] * number + keys[inside]
        _, inverse, uses = np.unique(packed, return_inverse=True, return_counts=True)
        out[inside] = uses[inverse] >= 2
    return out
