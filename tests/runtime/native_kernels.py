"""Kernels for the tests of the runtime, in LLVM's own words."""

from functools import cache

import llvmlite.binding as llvm

MUL = """
define i64 @{name}(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) {{
entry:
  %pa = load ptr, ptr %buffers
  %qb = getelementptr ptr, ptr %buffers, i64 1
  %pb = load ptr, ptr %qb
  %qc = getelementptr ptr, ptr %buffers, i64 2
  %pc = load ptr, ptr %qc
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %next, %loop ]
  %xa = getelementptr {type}, ptr %pa, i64 %i
  %xb = getelementptr {type}, ptr %pb, i64 %i
  %xc = getelementptr {type}, ptr %pc, i64 %i
  %a = load {type}, ptr %xa
  %b = load {type}, ptr %xb
  %c = {operation} {type} %a, %b
  store {type} %c, ptr %xc
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %hi
  br i1 %more, label %loop, label %exit
exit:
  ret i64 0
}}
"""

# Fails with status 2 and details (index, sizes[0]) at the first element of a that is 0.
FIND_ZERO = """
define i64 @find_zero(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) {
entry:
  %pa = load ptr, ptr %buffers
  %n = load i64, ptr %sizes
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %next, %good ]
  %xa = getelementptr double, ptr %pa, i64 %i
  %a = load double, ptr %xa
  %bad = fcmp oeq double %a, 0.0
  br i1 %bad, label %fail, label %good
good:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %hi
  br i1 %more, label %loop, label %exit
exit:
  ret i64 0
fail:
  store i64 %i, ptr %scratch
  %second = getelementptr i64, ptr %scratch, i64 1
  store i64 %n, ptr %second
  ret i64 2
}
"""

# out[i] = number of the item, after sizes[0] rounds of a loop that nothing can shorten.
SLOW = """
define i64 @slow(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) {
entry:
  %out = load ptr, ptr %buffers
  %rounds = load i64, ptr %sizes
  br label %items
items:
  %i = phi i64 [ %lo, %entry ], [ %next, %done ]
  br label %spin
spin:
  %r = phi i64 [ 0, %items ], [ %rnext, %spin ]
  store volatile i64 %r, ptr %scratch
  %rnext = add i64 %r, 1
  %again = icmp slt i64 %rnext, %rounds
  br i1 %again, label %spin, label %done
done:
  %x = getelementptr i64, ptr %out, i64 %i
  store i64 %i, ptr %x
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %hi
  br i1 %more, label %items, label %exit
exit:
  ret i64 0
}
"""

# Calls the kernel that buffer 0 leads to on its own items.
CALLER = """
define i64 @caller(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) {
entry:
  %triple = load ptr, ptr %buffers
  %kernel = load ptr, ptr %triple
  %q1 = getelementptr ptr, ptr %triple, i64 1
  %table = load ptr, ptr %q1
  %q2 = getelementptr ptr, ptr %triple, i64 2
  %numbers = load ptr, ptr %q2
  %status = call i64 %kernel(ptr %table, ptr %numbers, i64 %lo, i64 %hi, ptr %scratch)
  ret i64 %status
}
"""

# out[i] = the last byte of sizes[0] bytes of scratch after filling them with i.
FILL_SCRATCH = """
define i64 @fill_scratch(ptr %buffers, ptr %sizes, i64 %lo, i64 %hi, ptr %scratch) {
entry:
  %out = load ptr, ptr %buffers
  %n = load i64, ptr %sizes
  br label %items
items:
  %i = phi i64 [ %lo, %entry ], [ %next, %done ]
  %byte = trunc i64 %i to i8
  br label %fill
fill:
  %k = phi i64 [ 0, %items ], [ %knext, %fill ]
  %p = getelementptr i8, ptr %scratch, i64 %k
  store volatile i8 %byte, ptr %p
  %knext = add i64 %k, 1
  %again = icmp slt i64 %knext, %n
  br i1 %again, label %fill, label %done
done:
  %end = getelementptr i8, ptr %scratch, i64 %n
  %q = getelementptr i8, ptr %end, i64 -1
  %last = load volatile i8, ptr %q
  %wide = zext i8 %last to i64
  %x = getelementptr i64, ptr %out, i64 %i
  store i64 %wide, ptr %x
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %hi
  br i1 %more, label %items, label %exit
exit:
  ret i64 0
}
"""


def _sources():
    yield MUL.format(name="mul_f64", type="double", operation="fmul")
    yield MUL.format(name="add_f64", type="double", operation="fadd")
    yield MUL.format(name="mul_f32", type="float", operation="fmul")
    yield MUL.format(name="add_i64", type="i64", operation="add")
    yield from (FIND_ZERO, SLOW, CALLER, FILL_SCRATCH)


@cache
def _engine():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("\n".join(_sources()))
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def address(name):
    return _engine().get_function_address(name)
