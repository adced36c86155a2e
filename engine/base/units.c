/* Numbers, durations, sizes and signals as people write them. */

#include "engine/base/units.h"

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"

/* Reads digits off the front of *rest. False if there are none, or if they don't fit 64 bits. */
static bool take_digits(struct str *rest, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = 0;

    for (; n < rest->len && char_is_digit(rest->data[n]); n++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(rest->data[n] - '0'), &value))
            return false;
    }
    if (!n)
        return false;

    rest->data += n;
    rest->len -= n;
    *ret = value;
    return true;
}

int parse_u64(struct str text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err)
{
    struct str rest = text;
    uint64_t value;

    if (!take_digits(&rest, &value) || rest.len)
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not a whole number",
                         STR_ARG(text));
    if (value < min || value > max)
        return error_set(err, ERROR_INVALID, "%llu is not between %llu and %llu",
                         (unsigned long long)value, (unsigned long long)min,
                         (unsigned long long)max);
    *ret = value;
    return 0;
}

int parse_i64(struct str text, int64_t min, int64_t max, int64_t *ret, struct error *err)
{
    bool is_negative = text.len && text.data[0] == '-';
    struct str rest = text;
    uint64_t magnitude;
    int64_t value;

    if (is_negative) {
        rest.data++;
        rest.len--;
    }
    if (!take_digits(&rest, &magnitude) || rest.len)
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not a whole number",
                         STR_ARG(text));
    if (is_negative ? __builtin_sub_overflow(0, magnitude, &value)
                    : __builtin_add_overflow(0, magnitude, &value))
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is too large", STR_ARG(text));
    if (value < min || value > max)
        return error_set(err, ERROR_INVALID, "%lld is not between %lld and %lld", (long long)value,
                         (long long)min, (long long)max);
    *ret = value;
    return 0;
}

/* A decimal as whole + fraction / scale. Digits past the ninth after the point are dropped. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

static bool take_decimal(struct str *rest, struct decimal *ret)
{
    struct decimal decimal = {0, 0, 1};
    bool has_digits = false;

    if (rest->len && char_is_digit(rest->data[0])) {
        if (!take_digits(rest, &decimal.whole))
            return false;
        has_digits = true;
    }
    if (rest->len && rest->data[0] == '.') {
        rest->data++;
        rest->len--;
        for (; rest->len && char_is_digit(rest->data[0]); rest->data++, rest->len--) {
            has_digits = true;
            if (decimal.scale < 1000000000) {
                decimal.fraction = decimal.fraction * 10 + (uint64_t)(rest->data[0] - '0');
                decimal.scale *= 10;
            }
        }
    }
    *ret = decimal;
    return has_digits;
}

/* decimal × unit; false when it doesn't fit. */
static bool decimal_times(struct decimal decimal, uint64_t unit, uint64_t *ret)
{
    /* fraction < 10^9 and unit < 2^63: the product fits 128 bits. */
    unsigned __int128 fraction = (unsigned __int128)decimal.fraction * unit / decimal.scale;
    uint64_t whole;

    return !__builtin_mul_overflow(decimal.whole, unit, &whole) &&
           !__builtin_add_overflow(whole, (uint64_t)fraction, ret);
}

struct duration_unit {
    const char *name;
    uint64_t ns;
};

/* compose-go reads d and w, which Go itself doesn't. */
static const struct duration_unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* µ, micro sign */
    {"\xce\xbcs", 1000}, /* μ, Greek mu */
    {"ms", 1000000},
    {"s", NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 24 * 3600 * NS_PER_S},
    {"w", 7 * 24 * 3600 * NS_PER_S},
};

static const struct duration_unit *take_duration_unit(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && !char_is_digit(rest->data[n]) && rest->data[n] != '.')
        n++;
    for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++) {
        if (!str_is((struct str){rest->data, n}, duration_units[i].name))
            continue;
        rest->data += n;
        rest->len -= n;
        return &duration_units[i];
    }
    return NULL;
}

int parse_duration_ns(struct str text, int64_t *ret_ns, struct error *err)
{
    struct str rest = text;
    bool is_negative = false;
    uint64_t total = 0;

    if (rest.len && (rest.data[0] == '-' || rest.data[0] == '+')) {
        is_negative = rest.data[0] == '-';
        rest.data++;
        rest.len--;
    }
    if (str_is(rest, "0")) {
        *ret_ns = 0;
        return 0;
    }
    if (!rest.len)
        return error_set(err, ERROR_INVALID, "invalid duration \"" STR_FMT "\"", STR_ARG(text));

    while (rest.len) {
        const struct duration_unit *unit;
        struct decimal decimal;
        uint64_t part;

        if (!take_decimal(&rest, &decimal))
            return error_set(err, ERROR_INVALID, "invalid duration \"" STR_FMT "\"", STR_ARG(text));
        if (!rest.len)
            return error_set(err, ERROR_INVALID,
                             "missing unit in duration \"" STR_FMT "\" (write it like 1m30s)",
                             STR_ARG(text));
        unit = take_duration_unit(&rest);
        if (!unit)
            return error_set(err, ERROR_INVALID,
                             "unknown unit in duration \"" STR_FMT
                             "\" (known are ns, us, ms, s, m, h, d, w)",
                             STR_ARG(text));
        if (!decimal_times(decimal, unit->ns, &part) ||
            __builtin_add_overflow(total, part, &total) || total > INT64_MAX)
            return error_set(err, ERROR_INVALID, "duration \"" STR_FMT "\" is too long",
                             STR_ARG(text));
    }
    *ret_ns = is_negative ? -(int64_t)total : (int64_t)total;
    return 0;
}

int parse_bytes(struct str text, uint64_t *ret_bytes, struct error *err)
{
    static const char letters[] = "kmgtp";
    struct str rest = text;
    struct decimal decimal;
    unsigned shift = 0;
    uint64_t bytes;

    if (!rest.len || !char_is_digit(rest.data[0]) || !take_decimal(&rest, &decimal))
        return error_set(err, ERROR_INVALID, "invalid size \"" STR_FMT "\" (write it like 64m)",
                         STR_ARG(text));

    if (rest.len && rest.data[0] == ' ') {
        rest.data++;
        rest.len--;
    }
    if (rest.len) {
        /* `| 0x20` lowers ASCII letters. */
        const char *letter = memchr(letters, rest.data[0] | 0x20, sizeof(letters) - 1);

        if (letter) {
            shift = 10 * (unsigned)(letter - letters + 1);
            rest.data++;
            rest.len--;
            if (rest.len && (rest.data[0] | 0x20) == 'i') {
                rest.data++;
                rest.len--;
                if (!rest.len)
                    rest.len = SIZE_MAX; /* "64ki" has no meaning: fall into the error below */
            }
        }
    }
    if (rest.len == 1 && (rest.data[0] | 0x20) == 'b')
        rest.len = 0;
    if (rest.len)
        return error_set(err, ERROR_INVALID,
                         "invalid size \"" STR_FMT "\" (known units are b, k, m, g, t, p)",
                         STR_ARG(text));

    if (!decimal_times(decimal, UINT64_C(1) << shift, &bytes) || bytes > INT64_MAX)
        return error_set(err, ERROR_INVALID, "size \"" STR_FMT "\" is too large", STR_ARG(text));
    *ret_bytes = bytes;
    return 0;
}

/* "1.5" for 1 and 500000000 of 10^9: no trailing zeros. */
static void print_fraction(struct buf *out, uint64_t value, uint64_t unit)
{
    uint64_t fraction = value % unit;

    buf_printf(out, "%llu", (unsigned long long)(value / unit));
    if (!fraction)
        return;
    buf_add_char(out, '.');
    for (; fraction; fraction %= unit) {
        unit /= 10;
        buf_add_char(out, (char)('0' + fraction / unit));
    }
}

void print_duration_go(struct buf *out, int64_t ns)
{
    uint64_t rest = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    uint64_t minutes;

    if (!rest) {
        buf_add_text(out, "0s");
        return;
    }
    if (ns < 0)
        buf_add_char(out, '-');

    if (rest < 1000) {
        buf_printf(out, "%lluns", (unsigned long long)rest);
    } else if (rest < 1000000) {
        print_fraction(out, rest, 1000);
        buf_add_text(out, "\xc2\xb5s");
    } else if (rest < (uint64_t)NS_PER_S) {
        print_fraction(out, rest, 1000000);
        buf_add_text(out, "ms");
    } else {
        minutes = rest / (60 * (uint64_t)NS_PER_S);
        if (minutes >= 60)
            buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
        if (minutes)
            buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
        print_fraction(out, rest % (60 * (uint64_t)NS_PER_S), NS_PER_S);
        buf_add_char(out, 's');
    }
}

/* Thresholds of docker's HumanDuration. */
void print_age(struct buf *out, int64_t ns)
{
    long long seconds = ns / NS_PER_S;
    long long minutes = seconds / 60;
    long long hours = (seconds + 1800) / 3600;

    if (seconds < 1)
        buf_add_text(out, "Less than a second");
    else if (seconds == 1)
        buf_add_text(out, "1 second");
    else if (seconds < 60)
        buf_printf(out, "%lld seconds", seconds);
    else if (minutes == 1)
        buf_add_text(out, "About a minute");
    else if (minutes < 60)
        buf_printf(out, "%lld minutes", minutes);
    else if (hours == 1)
        buf_add_text(out, "About an hour");
    else if (hours < 48)
        buf_printf(out, "%lld hours", hours);
    else if (hours < 24 * 7 * 2)
        buf_printf(out, "%lld days", hours / 24);
    else if (hours < 24 * 30 * 2)
        buf_printf(out, "%lld weeks", hours / 24 / 7);
    else if (hours < 24 * 365 * 2)
        buf_printf(out, "%lld months", hours / 24 / 30);
    else
        buf_printf(out, "%lld years", hours / 24 / 365);
}

void print_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    buf_printf(out, "%.4g%s", value, units[unit]);
}

/* Real-time signals 32 and 33 belong to the C library; 34 is SIGRTMIN as programs see it. */
enum { SIGNAL_MAX = 64, SIGNAL_RTMIN = 34 };

static const char *const signal_names[SIGNAL_MAX + 1] = {
    [SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT",
    [SIGILL] = "SIGILL",       [SIGTRAP] = "SIGTRAP",     [SIGABRT] = "SIGABRT",
    [SIGBUS] = "SIGBUS",       [SIGFPE] = "SIGFPE",       [SIGKILL] = "SIGKILL",
    [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV",     [SIGUSR2] = "SIGUSR2",
    [SIGPIPE] = "SIGPIPE",     [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM",
    [SIGSTKFLT] = "SIGSTKFLT", [SIGCHLD] = "SIGCHLD",     [SIGCONT] = "SIGCONT",
    [SIGSTOP] = "SIGSTOP",     [SIGTSTP] = "SIGTSTP",     [SIGTTIN] = "SIGTTIN",
    [SIGTTOU] = "SIGTTOU",     [SIGURG] = "SIGURG",       [SIGXCPU] = "SIGXCPU",
    [SIGXFSZ] = "SIGXFSZ",     [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF",
    [SIGWINCH] = "SIGWINCH",   [SIGIO] = "SIGIO",         [SIGPWR] = "SIGPWR",
    [SIGSYS] = "SIGSYS",       [34] = "SIGRTMIN",         [35] = "SIGRTMIN+1",
    [36] = "SIGRTMIN+2",       [37] = "SIGRTMIN+3",       [38] = "SIGRTMIN+4",
    [39] = "SIGRTMIN+5",       [40] = "SIGRTMIN+6",       [41] = "SIGRTMIN+7",
    [42] = "SIGRTMIN+8",       [43] = "SIGRTMIN+9",       [44] = "SIGRTMIN+10",
    [45] = "SIGRTMIN+11",      [46] = "SIGRTMIN+12",      [47] = "SIGRTMIN+13",
    [48] = "SIGRTMIN+14",      [49] = "SIGRTMIN+15",      [50] = "SIGRTMAX-14",
    [51] = "SIGRTMAX-13",      [52] = "SIGRTMAX-12",      [53] = "SIGRTMAX-11",
    [54] = "SIGRTMAX-10",      [55] = "SIGRTMAX-9",       [56] = "SIGRTMAX-8",
    [57] = "SIGRTMAX-7",       [58] = "SIGRTMAX-6",       [59] = "SIGRTMAX-5",
    [60] = "SIGRTMAX-4",       [61] = "SIGRTMAX-3",       [62] = "SIGRTMAX-2",
    [63] = "SIGRTMAX-1",       [64] = "SIGRTMAX",
};

static const struct {
    const char *name;
    int signal;
} signal_aliases[] = {{"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"POLL", SIGIO}};

/* RTMIN+n and RTMAX-n count from both ends, whatever form the table prints. */
static bool parse_realtime(struct str name, int *ret_signal)
{
    bool from_min = name.len > 6 && strncasecmp(name.data, "RTMIN+", 6) == 0;
    bool from_max = name.len > 6 && strncasecmp(name.data, "RTMAX-", 6) == 0;
    struct str rest = {name.data + 6, name.len - 6};
    uint64_t n;

    if (!from_min && !from_max)
        return false;
    if (parse_u64(rest, 0, SIGNAL_MAX - SIGNAL_RTMIN, &n, NULL) < 0)
        return false;
    *ret_signal = from_min ? SIGNAL_RTMIN + (int)n : SIGNAL_MAX - (int)n;
    return true;
}

static bool name_matches(struct str name, const char *wanted)
{
    return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0;
}

int parse_signal(struct str text, int *ret_signal, struct error *err)
{
    struct str name = text;
    uint64_t number;

    if (parse_u64(text, 1, SIGNAL_MAX, &number, NULL) == 0) {
        *ret_signal = (int)number;
        return 0;
    }

    if (name.len > 3 && strncasecmp(name.data, "SIG", 3) == 0)
        name = (struct str){name.data + 3, name.len - 3};
    for (int i = 1; i <= SIGNAL_MAX; i++) {
        if (!signal_names[i] || !name_matches(name, signal_names[i] + 3))
            continue;
        *ret_signal = i;
        return 0;
    }
    for (size_t i = 0; i < sizeof(signal_aliases) / sizeof(signal_aliases[0]); i++) {
        if (!name_matches(name, signal_aliases[i].name))
            continue;
        *ret_signal = signal_aliases[i].signal;
        return 0;
    }
    if (parse_realtime(name, ret_signal))
        return 0;
    return error_set(err, ERROR_INVALID, "unknown signal \"" STR_FMT "\"", STR_ARG(text));
}

const char *signal_name(int signal)
{
    if (signal < 1 || signal > SIGNAL_MAX || !signal_names[signal])
        return "SIG?";
    return signal_names[signal];
}
