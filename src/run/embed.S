/* SPDX-License-Identifier: Apache-2.0 */
/* hull-init, the second program, inside hull: run/spawn.c copies it into a sealed memfd for each use. The build runs in the
 * directory where hull-init has just been linked. */
	.section .rodata
	.balign 16
	.global hull_init_start
	.type hull_init_start, %object
hull_init_start:
	.incbin "hull-init"
	.global hull_init_end
	.type hull_init_end, %object
hull_init_end:
	.byte 0
	.size hull_init_start, hull_init_end - hull_init_start
	.size hull_init_end, 1

	.section .note.GNU-stack, "", %progbits
