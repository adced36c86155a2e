/* What libc would do for us: entry point, and the functions a compiler calls by itself. */

#include "engine/container/zygote/call.h"

int zygote_main(int argc, char **argv);
_Noreturn void zygote_entry(long *stack);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n"
        " call zygote_entry\n");
#else
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n bl zygote_entry\n");
#endif

_Noreturn void zygote_entry(long *stack)
{
    end_process(zygote_main((int)stack[0], (char **)(stack + 1)));
}

_Noreturn void end_process(int code)
{
    for (;;)
        (void)call(SYS_exit_group, code);
}

/* Keeps the compiler from seeing memcpy in memcpy's own loop, and calling it. */
#define NO_IDIOM() __asm__ volatile("" ::: "memory")

void *memcpy(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    for (size_t i = 0; i < n; i++) {
        t[i] = f[i];
        NO_IDIOM();
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if (t < f)
        return memcpy(to, from, n);
    for (size_t i = n; i > 0; i--) {
        t[i - 1] = f[i - 1];
        NO_IDIOM();
    }
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    unsigned char *t = to;

    for (size_t i = 0; i < n; i++) {
        t[i] = (unsigned char)byte;
        NO_IDIOM();
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < n; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

size_t text_size(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0') {
        n++;
        NO_IDIOM();
    }
    return n;
}

int text_is_same(const char *a, const char *b)
{
    for (; *a != '\0' && *a == *b; b++)
        a++;
    return *a == *b;
}

size_t text_append(char *buffer, size_t capacity, size_t used, const char *text)
{
    while (*text != '\0' && used + 1 < capacity)
        buffer[used++] = *text++;
    buffer[used] = '\0';
    return used;
}
