#include "textflag.h"

// The assembler keeps track of the stack pointer where it is moved by SUB and ADD, and not where a store
// moves it, as the compiler's do.

// Some microseconds on R0, in the link register: once it is stored that is a register like others, and what
// is in it then no address.
#define WORK \
	MOVD $1500, R1       \
	MOVD $0x5bd1e995, R2 \
	MOVD R0, R30         \
	MUL  R2, R30, R30    \
	ADD  $57, R30, R30   \
	SUB  $1, R1, R1      \
	CBNZ R1, -3(PC)      \
	MOVD R30, R0

// func begun(x uint64) uint64
TEXT ·begun(SB), NOSPLIT|NOFRAME, $0-16
	MOVD x+0(FP), R0
	SUB  $16, RSP
	MOVD R30, 0(RSP)
	WORK
	MOVD 0(RSP), R30
	ADD  $16, RSP
	MOVD R0, ret+8(FP)
	RET

// func linked(x uint64) uint64
TEXT ·linked(SB), NOSPLIT|NOFRAME, $0-16
	MOVD x+0(FP), R0
	SUB  $16, RSP
	MOVD R30, 0(RSP)
	MOVD R29, -8(RSP)
	SUB  $8, RSP, R29
	WORK
	MOVD -8(RSP), R29
	MOVD 0(RSP), R30
	ADD  $16, RSP
	MOVD R0, ret+8(FP)
	RET

#define CALL_AND_ADD(callee, n) \
	MOVD x+0(FP), R0 \
	MOVD R0, 8(RSP)  \
	CALL callee(SB)  \
	MOVD 16(RSP), R0 \
	ADD  $n, R0, R0  \
	MOVD R0, ret+8(FP) \
	RET

// func begunLeft(x uint64) uint64
TEXT ·begunLeft(SB), NOSPLIT, $16-16
	CALL_AND_ADD(·begun, 1)

// func begunRight(x uint64) uint64
TEXT ·begunRight(SB), NOSPLIT, $16-16
	CALL_AND_ADD(·begun, 2)

// func linkedLeft(x uint64) uint64
TEXT ·linkedLeft(SB), NOSPLIT, $16-16
	CALL_AND_ADD(·linked, 1)

// func linkedRight(x uint64) uint64
TEXT ·linkedRight(SB), NOSPLIT, $16-16
	CALL_AND_ADD(·linked, 2)
