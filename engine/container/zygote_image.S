/* The zygote program, as a part of ours. */
    .section .rodata.zygote_image, "a"
    .globl zygote_image_start, zygote_image_end
    .hidden zygote_image_start, zygote_image_end
    .balign 16
zygote_image_start:
    .incbin ZYGOTE_PATH
zygote_image_end:
    .section .note.GNU-stack, "", %progbits
