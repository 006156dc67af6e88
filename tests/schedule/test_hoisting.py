"""What moves out of a loop, and what must not."""

from croton.kernel import build
from croton.kernel.nodes import Buffer, Choose, Const, Fail, Function, If, Load, Store
from croton.runtime import program as p
from croton.schedule.arena import share_slots
from croton.schedule.heirs import Heir
from croton.schedule.hoisting import Kernel, hoist, kernel_effects

#: Kernel 0 writes its last buffer of two; 1 may fail besides; 2 changes its only buffer.
KERNELS = (
    Kernel(frozenset([1]), False),
    Kernel(frozenset([1]), True),
    Kernel(frozenset([0]), False),
)
N, T, ONE = 0, 1, 2


def launch(kernel, *buffers, sizes=()):
    return p.Launch(kernel, buffers, sizes, ONE, ONE, ONE)


def moved(*body):
    """Which instructions of a loop's body come before it."""
    found = list(hoist([p.Loop(T, N), *body, p.Next()], KERNELS.__getitem__))
    assert sorted(found) == list(range(len(body) + 2))
    return [k - 1 for k in found[: found.index(0)]]


def test_sizes_that_do_not_change():
    a, b, c = p.Compute("mul", 5, N, N), p.Compute("add", 6, 5, ONE), p.Compute("add", 7, 6, T)
    assert moved(a, b, c) == [0, 1]


def test_what_is_computed_from_what_does_not_change():
    assert moved(p.Allocate(3, N), launch(0, 0, 3), launch(0, 3, 1)) == [0, 1]
    # Memory is not made before the loop for its own sake.
    assert moved(p.Allocate(3, N), p.View(9, 0, T, ONE), launch(0, 9, 3)) == []


def test_what_the_loop_changes_is_not_read_before():
    assert moved(p.Allocate(3, N), launch(0, 0, 3), launch(2, 0)) == []
    assert moved(p.View(9, 0, T, ONE), launch(2, 9), p.Allocate(3, N), launch(0, 0, 3)) == []
    assert moved(p.Allocate(3, N), launch(0, 0, 3), launch(2, 3)) == [0, 1, 2]
    assert moved(p.Allocate(3, N), launch(0, 0, 3), p.View(9, 3, T, ONE), launch(2, 9)) == []
    assert moved(p.Allocate(3, N), p.Allocate(4, T), launch(0, 0, 3), p.Copy(3, 4, N)) == []


def test_what_adds_up_from_round_to_round_stays():
    assert moved(launch(2, 0)) == []
    assert moved(launch(0, 0, 1)) == []


def test_what_may_fail_stays():
    assert moved(p.Allocate(3, N), launch(1, 0, 3)) == []
    assert moved(p.Check(N, 0)) == []


def test_what_is_kept_moves_with_the_kernel_that_makes_it():
    kept = (p.Keep(3, N), launch(0, 0, 3))
    assert moved(p.Compute("add", 5, T, ONE), *kept, launch(0, 3, 1)) == [1, 2]
    assert moved(*kept, launch(2, 0)) == []


def test_out_of_all_loops_around():
    body = [
        p.Loop(T, N),
        p.Compute("mul", 5, T, N),
        p.Loop(6, N),
        p.Compute("mul", 7, N, N),
        p.Compute("add", 8, 5, ONE),
        p.Allocate(3, 7),
        launch(0, 0, 3),
        p.Allocate(4, 7),
        launch(0, 4, 2, sizes=(8, 6)),
        p.Next(),
        p.Next(),
    ]
    assert hoist(body, KERNELS.__getitem__) == [3, 5, 6, 0, 1, 4, 2, 7, 8, 9, 10]


def test_effects_of_kernels():

    a, b, c, d = (Buffer(name, "float32") for name in "abcd")
    zero = build.index(0)
    body = (
        Choose(d, Const(True, "bool"), b, c),
        Store(d, zero, Load(a, zero)),
        If(Const(False, "bool"), (Fail(1),)),
    )
    assert kernel_effects(Function("f", (a, b, c), (), body)) == Kernel(frozenset([1, 2]), True)
    assert kernel_effects(Function("f", (a, b), (), body[:0])) == Kernel(frozenset(), False)


def test_memory_of_a_loop():
    """What is there before a loop and read in it is not given away while it lasts."""
    buffers = [p.Buffer("temporary", "float32") for _ in range(4)] + [p.Buffer("view", "float32")]
    instructions = [
        p.Allocate(0, N),
        p.Loop(T, N),
        p.View(4, 0, T, ONE),
        p.Allocate(1, N),
        launch(0, 4, 1),
        p.Allocate(2, N),
        launch(0, 1, 2),
        p.Next(),
        p.Allocate(3, N),
        launch(2, 3),
    ]
    slots = [b.slot for b in share_slots(buffers, instructions, {})[:4]]
    assert len(set(slots[:3])) == 3
    assert slots[3] in slots[:3]


def test_a_large_slot_is_left_to_what_is_as_large():
    large, small = 2, 3
    buffers = [p.Buffer("temporary", "float32") for _ in range(4)]
    instructions = [
        p.Allocate(0, large),
        launch(0),
        p.Allocate(1, small),
        p.Allocate(2, large),
        launch(1, 2),
        p.Allocate(3, small),
        launch(3),
    ]
    slots = [b.slot for b in share_slots(buffers, instructions, {large: 1 << 20, small: 64})]
    assert slots[2] == slots[0]
    assert slots[3] == slots[1] != slots[0]


def inherited(*body, before=(), after=(), around=(), written=5, at_once=False):
    """Whether buffer 1 takes the place of buffer 0, whose rows a loop sees as view 4."""
    buffers = [p.Buffer("temporary", "float32") for _ in range(4)]
    buffers += [p.Buffer("view", "float32") for _ in range(3)]
    ends = [p.Join() if isinstance(i, p.Split) else p.Next() for i in around]
    instructions = [
        p.Allocate(0, N),
        launch(0, 0),
        p.Allocate(1, N),
        *before,
        *around,
        p.Loop(T, N),
        p.View(4, 0, T, ONE),
        p.View(5, 1, T, ONE),
        *body,
        p.Next(),
        *ends,
        *after,
        launch(0, 1),
    ]
    heir = Heir(0, 1, 4, written, at_once)
    slots = [b.slot for b in share_slots(buffers, instructions, {}, [heir])]
    return slots[0] == slots[1]


def test_a_row_is_inherited_when_nobody_reads_the_old_one_any_more():
    read, write, both = launch(0, 4, 2), launch(0, 2, 5), launch(0, 4, 5)
    assert inherited(read, write)
    assert inherited(read, write, around=[p.Split(8, 9, N, ONE)])
    assert inherited(read, p.Copy(5, 2, ONE))
    assert inherited(read, write, launch(0, 5, 3))
    assert inherited(read, write, after=[launch(0, 1, 2)])
    assert not inherited(write, read)
    assert not inherited(read, write, read)
    assert not inherited(both)
    assert inherited(both, at_once=True)
    assert not inherited(both, launch(0, 4), at_once=True)
    # Of a view of the view as well.
    assert not inherited(p.View(6, 4, T, ONE), read, write, launch(0, 6))


def test_no_row_is_inherited_while_the_old_buffer_is_needed_otherwise():
    read, write = launch(0, 4, 2), launch(0, 2, 5)
    assert not inherited(read, write, after=[launch(0, 0)])
    assert not inherited(read, launch(0, 0), write)
    assert not inherited(p.View(6, 0, ONE, ONE), launch(0, 6), read, write)
    assert not inherited(read, write, launch(0, 1))
    assert not inherited(read, write, before=[launch(0, 1)])
    assert not inherited(read, write, around=[p.Split(8, 9, N, ONE), p.Loop(8, N)])
    assert not inherited(read, write, around=[p.Loop(8, N)])
    # Each part may begin when another one is done.
    parts = [p.Split(8, 9, N, ONE)]
    assert not inherited(read, write, around=parts, before=[], after=[launch(0, 0)])


def test_a_buffer_has_one_heir_of_its_kind():
    buffers = [p.Buffer("temporary", kind) for kind in ("float32", "float32", "float32", "int32")]
    buffers += [p.Buffer("view", "float32") for _ in range(4)]
    views = [p.View(4 + b, b, T, ONE) for b in range(4)]
    made = [p.Allocate(0, N), launch(0, 0), p.Allocate(1, N), p.Allocate(2, N), p.Allocate(3, N)]
    step = [p.Loop(T, N), *views, launch(0, 4), launch(0, 5), launch(0, 6), launch(0, 7), p.Next()]
    program = [*made, *step, launch(0, 1, 2, 3)]

    def slots(*heirs):
        return [b.slot for b in share_slots(buffers, program, {}, heirs)[:4]]

    assert len(set(slots())) == 4
    first, second, third, other = slots(Heir(0, 1, 4, 5), Heir(0, 2, 4, 6), Heir(0, 3, 4, 7))
    assert first == second
    assert len({second, third, other}) == 3


def test_heirs_have_heirs():
    buffers = [p.Buffer("temporary", "float32") for _ in range(4)]
    buffers += [p.Buffer("view", "float32") for _ in range(4)]

    def loop(k, old, new):
        views = [p.View(old, k, T, ONE), p.View(new, k + 1, T, ONE)]
        return [p.Loop(T, N), *views, launch(0, old), launch(0, new), p.Next()]

    loops = [loop(0, 4, 5), loop(1, 6, 7)]
    program = [p.Allocate(0, N), launch(0, 0), p.Allocate(1, N), *loops[0]]
    program += [p.Allocate(2, N), *loops[1], p.Allocate(3, N), launch(0, 3), launch(0, 2)]
    heirs = [Heir(0, 1, 4, 5), Heir(1, 2, 6, 7)]
    slots = [b.slot for b in share_slots(buffers, program, {}, heirs)[:4]]
    assert len(set(slots[:3])) == 1
    assert slots[3] != slots[0]
