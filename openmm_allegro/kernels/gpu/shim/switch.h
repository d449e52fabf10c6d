// SPDX-License-Identifier: MIT
// Fibres: card_switch saves the registers that a function must keep on the stack, whose
// address it leaves in `from`, and takes those that are at `to`.
extern "C" void card_switch(void **from, void *to);
#if defined(__x86_64__)
asm(R"(
.pushsection .text
.type card_switch, @function
card_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size card_switch, .-card_switch
.popsection
)");
// Words that card_switch takes from a new stack, and which of them is the entry.
enum { CARD_SAVED = 8, CARD_ENTRY = 6 };
#elif defined(__aarch64__)
asm(R"(
.pushsection .text
.type card_switch, %function
card_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size card_switch, .-card_switch
.popsection
)");
enum { CARD_SAVED = 20, CARD_ENTRY = 11 };
#else
#error "expected x86-64 or aarch64, whose registers the host shim saves"
#endif
