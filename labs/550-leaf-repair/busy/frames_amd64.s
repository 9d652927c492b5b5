#include "textflag.h"

// Some microseconds on AX.
#define WORK \
	MOVQ $1500, CX     \
	IMULQ $0x5bd1e995, AX \
	ADDQ $0x3039, AX   \
	DECQ CX            \
	JNZ  -3(PC)

// func begun(x uint64) uint64
TEXT ·begun(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ  x+0(FP), AX
	PUSHQ BP
	WORK
	POPQ  BP
	MOVQ  AX, ret+8(FP)
	RET

// func linked(x uint64) uint64
TEXT ·linked(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ  x+0(FP), AX
	PUSHQ BP
	MOVQ  SP, BP
	WORK
	POPQ  BP
	MOVQ  AX, ret+8(FP)
	RET

#define CALL_AND_ADD(callee, n) \
	MOVQ x+0(FP), AX \
	MOVQ AX, 0(SP)   \
	CALL callee(SB)  \
	MOVQ 8(SP), AX   \
	ADDQ $n, AX      \
	MOVQ AX, ret+8(FP) \
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
