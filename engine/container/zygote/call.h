#pragma once

/* System calls without libc: a negative result is -errno. The zygote is linked without any library,
 * so that a container costs a copy of some twenty pages and nothing of it can be preloaded,
 * configured or localised. */

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

#elif defined(__aarch64__)

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else
#error "the zygote knows x86-64 and arm64"
#endif

/* call(SYS_x, up to six integers or pointers) */
#define CALL_ARG(x)                                      ((long)(x))
#define CALL_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define CALL0(n)                                         call6(n, 0, 0, 0, 0, 0, 0)
#define CALL1(n, a)                                      call6(n, CALL_ARG(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b)                                   call6(n, CALL_ARG(a), CALL_ARG(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c)                                call6(n, CALL_ARG(a), CALL_ARG(b), CALL_ARG(c), 0, 0, 0)
#define CALL4(n, a, b, c, d)                             call6(n, CALL_ARG(a), CALL_ARG(b), CALL_ARG(c), CALL_ARG(d), 0, 0)
#define CALL5(n, a, b, c, d, e)                                                                    \
    call6(n, CALL_ARG(a), CALL_ARG(b), CALL_ARG(c), CALL_ARG(d), CALL_ARG(e), 0)
#define CALL6(n, a, b, c, d, e, f)                                                                 \
    call6(n, CALL_ARG(a), CALL_ARG(b), CALL_ARG(c), CALL_ARG(d), CALL_ARG(e), CALL_ARG(f))
#define call(...)                                                                                  \
    CALL_PICK(__VA_ARGS__, CALL6, CALL5, CALL4, CALL3, CALL2, CALL1, CALL0)(__VA_ARGS__)

static inline void close_fd(int fd)
{
    if (fd >= 0)
        (void)call(SYS_close, fd);
}

_Noreturn void end_process(int code);

/* Bytes and texts (bytes.c). */
size_t text_size(const char *text); /* without the NUL */
int text_is_same(const char *a, const char *b);
/* Copies as much as fits behind `used`, always with a NUL; returns the new length. */
size_t text_append(char *buffer, size_t capacity, size_t used, const char *text);
