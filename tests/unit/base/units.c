/* units.h, clock.h, path.h, sha256.h */

#include "engine/base/units.h"

#include <signal.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/path.h"
#include "engine/base/random.h"
#include "engine/base/sha256.h"
#include "tests/tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TEST(whole_numbers)
{
    struct error err = ERROR_INIT;
    uint64_t u;
    int64_t i;

    CHECK_OK(parse_u64(STR("18446744073709551615"), 0, UINT64_MAX, &u, &err), &err);
    CHECK(u == UINT64_MAX);
    CHECK_OK(parse_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &i, &err), &err);
    CHECK(i == INT64_MIN);
    CHECK_FAILS(parse_u64(STR("18446744073709551616"), 0, UINT64_MAX, &u, &err), ERROR_INVALID,
                "18446744073709551616");
    CHECK_FAILS(parse_i64(STR("9223372036854775808"), INT64_MIN, INT64_MAX, &i, &err),
                ERROR_INVALID, "too large");
    CHECK_FAILS(parse_u64(STR("70000"), 1, 65535, &u, &err), ERROR_INVALID,
                "70000 is not between 1 and 65535");
}

TEST(what_is_no_whole_number_is_refused_with_its_text)
{
    static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x10", "1.5", "a", "1a", "-"};

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = ERROR_INIT;
        uint64_t value = 77;

        CHECK_FAILS(parse_u64(str_from(bad[i]), 0, UINT64_MAX, &value, &err), ERROR_INVALID,
                    bad[i]);
        CHECK_INT(value, 77);
    }
}

TEST(durations_as_go_writes_them)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"1s", NS_PER_S},
        {"1m30s", 90 * NS_PER_S},
        {"1.5s", 1500000000},
        {"100ms", 100000000},
        {"10us", 10000},
        {"10\xc2\xb5s", 10000},
        {"3ns", 3},
        {"1h0m0.25s", 3600 * NS_PER_S + 250000000},
        {"-2s", -2 * NS_PER_S},
        {"+2s", 2 * NS_PER_S},
        {".5s", 500000000},
        {"2d", 2 * 24 * 3600 * NS_PER_S},
        {"1w", 7 * 24 * 3600 * NS_PER_S},
        {"1.s", NS_PER_S},
        {"106751d", 106751 * (24 * 3600 * NS_PER_S)},
    };

    for (size_t i = 0; i < COUNT(good); i++) {
        struct error err = ERROR_INIT;
        int64_t ns;

        CHECK_OK(parse_duration_ns(str_from(good[i].text), &ns, &err), &err);
        CHECK_INT(ns, good[i].ns);
    }
}

TEST(bad_durations_say_why)
{
    struct error err = ERROR_INIT;
    int64_t ns;

    CHECK_FAILS(parse_duration_ns(STR("10"), &ns, &err), ERROR_INVALID, "missing unit");
    CHECK_FAILS(parse_duration_ns(STR("10x"), &ns, &err), ERROR_INVALID, "unknown unit");
    CHECK_FAILS(parse_duration_ns(STR(""), &ns, &err), ERROR_INVALID, "invalid duration \"\"");
    CHECK_FAILS(parse_duration_ns(STR("s"), &ns, &err), ERROR_INVALID, "invalid duration");
    CHECK_FAILS(parse_duration_ns(STR("1s "), &ns, &err), ERROR_INVALID, "unknown unit");
    CHECK_FAILS(parse_duration_ns(STR(".s"), &ns, &err), ERROR_INVALID, "invalid duration");
    CHECK_FAILS(parse_duration_ns(STR("9999999999h"), &ns, &err), ERROR_INVALID, "too long");
    CHECK_FAILS(parse_duration_ns(STR("-"), &ns, &err), ERROR_INVALID, "invalid duration");
}

TEST(durations_print_as_go_does)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {5, "5ns"},
        {1500, "1.5\xc2\xb5s"},
        {100000000, "100ms"},
        {NS_PER_S, "1s"},
        {90 * NS_PER_S, "1m30s"},
        {3600 * NS_PER_S, "1h0m0s"},
        {1500000000, "1.5s"},
        {-90 * NS_PER_S, "-1m30s"},
        {3661001000000, "1h1m1.001s"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        cleanup_buf struct buf out = BUF_INIT;

        print_duration_go(&out, cases[i].ns);
        CHECK_TEXT(buf_text(&out), cases[i].text);
    }
}

TEST(sizes_are_powers_of_1024)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"1024", 1024},
        {"10b", 10},
        {"64k", 65536},
        {"64m", 64 << 20},
        {"1gb", 1 << 30},
        {"1GiB", 1 << 30},
        {"2.5GiB", 2684354560},
        {"1 kb", 1024},
        {"0", 0},
        {"1.5k", 1536},
        {"1t", UINT64_C(1) << 40},
        {"1P", UINT64_C(1) << 50},
    };

    for (size_t i = 0; i < COUNT(good); i++) {
        struct error err = ERROR_INIT;
        uint64_t bytes;

        CHECK_OK(parse_bytes(str_from(good[i].text), &bytes, &err), &err);
        CHECK_INT(bytes, good[i].bytes);
    }
}

TEST(bad_sizes_are_refused)
{
    static const char *const bad[] = {"",   "m",    "-1",  "1x",        "1mm", "1bb",
                                      " 1", "1  k", "1ki", "99999999p", ".5k", "1k "};

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = ERROR_INIT;
        uint64_t bytes;

        CHECK_FAILS(parse_bytes(str_from(bad[i]), &bytes, &err), ERROR_INVALID, bad[i]);
    }
}

static const char *bytes_text(struct arena *arena, uint64_t bytes)
{
    cleanup_buf struct buf out = BUF_INIT;

    print_bytes(&out, bytes);
    return arena_strdup(arena, buf_text(&out));
}

static const char *age_text(struct arena *arena, int64_t seconds)
{
    cleanup_buf struct buf out = BUF_INIT;

    print_age(&out, seconds * NS_PER_S);
    return arena_strdup(arena, buf_text(&out));
}

TEST(sizes_and_ages_print_as_docker_does)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK_TEXT(bytes_text(&arena, 0), "0B");
    CHECK_TEXT(bytes_text(&arena, 1023), "1023B");
    CHECK_TEXT(bytes_text(&arena, 1536), "1.5KiB");
    CHECK_TEXT(bytes_text(&arena, UINT64_C(3) << 29), "1.5GiB");
    CHECK_TEXT(age_text(&arena, 0), "Less than a second");
    CHECK_TEXT(age_text(&arena, 1), "1 second");
    CHECK_TEXT(age_text(&arena, 59), "59 seconds");
    CHECK_TEXT(age_text(&arena, 60), "About a minute");
    CHECK_TEXT(age_text(&arena, 120), "2 minutes");
    CHECK_TEXT(age_text(&arena, 3600), "About an hour");
    CHECK_TEXT(age_text(&arena, 3 * 3600), "3 hours");
    CHECK_TEXT(age_text(&arena, 3 * 86400), "3 days");
    CHECK_TEXT(age_text(&arena, 21 * 86400), "3 weeks");
}

TEST(signals_by_name_and_number)
{
    static const struct {
        const char *text;
        int signal;
    } good[] = {{"SIGTERM", SIGTERM}, {"term", SIGTERM},  {"9", SIGKILL},
                {"SigUsr1", SIGUSR1}, {"SIGRTMIN+3", 37}, {"rtmin", 34},
                {"RTMAX-1", 63},      {"RTMIN+30", 64},   {"IOT", SIGABRT}};
    static const char *const bad[] = {"", "0", "65", "SIG", "SIGNOPE", "RTMIN+31", "RTMIN+"};

    for (size_t i = 0; i < COUNT(good); i++) {
        struct error err = ERROR_INIT;
        int number;

        CHECK_OK(parse_signal(str_from(good[i].text), &number, &err), &err);
        CHECK_INT(number, good[i].signal);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = ERROR_INIT;
        int number;

        CHECK_FAILS(parse_signal(str_from(bad[i]), &number, &err), ERROR_INVALID, bad[i]);
    }
    CHECK_TEXT(signal_name(SIGTERM), "SIGTERM");
    CHECK_TEXT(signal_name(0), "SIG?");
    CHECK_TEXT(signal_name(33), "SIG?");
    CHECK_TEXT(signal_name(9999), "SIG?");
}

TEST(times_print_in_utc_with_nanoseconds)
{
    cleanup_buf struct buf out = BUF_INIT;

    clock_print_rfc3339(&out, INT64_C(1795248300123456789));
    CHECK_TEXT(buf_text(&out), "2026-11-21T08:05:00.123456789Z");
    buf_clear(&out);
    clock_print_rfc3339(&out, -1);
    CHECK_TEXT(buf_text(&out), "1969-12-31T23:59:59.999999999Z");
    CHECK(clock_monotonic_ns() <= clock_monotonic_ns());
}

TEST(paths_are_cleaned_lexically)
{
    static const struct {
        const char *path;
        const char *clean;
    } cases[] = {
        {"a//b/./../c", "a/c"},
        {"", "."},
        {"/", "/"},
        {"//", "/"},
        {"/..", "/"},
        {"/../a", "/a"},
        {"..", ".."},
        {"../../a", "../../a"},
        {"a/..", "."},
        {"a/../..", ".."},
        {"./a/", "a"},
        {"/a/b/../../..", "/"},
        {"a/../../b", "../b"},
        {"...", "..."},
        {"../a/..", ".."},
        {"/a/./b//", "/a/b"},
        {".", "."},
        {"ab/..", "."},
        {"/ab/../cd", "/cd"},
    };
    cleanup_arena struct arena arena = ARENA_INIT;

    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK_TEXT(path_clean(&arena, cases[i].path), cases[i].clean);
}

TEST(paths_are_joined_and_taken_apart)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK_TEXT(path_join(&arena, "/srv/app", "../x"), "/srv/x");
    CHECK_TEXT(path_join(&arena, "/srv/app", "/etc"), "/etc");
    CHECK_TEXT(path_join(&arena, "", "a"), "a");
    CHECK_TEXT(path_dir(&arena, "/a/b"), "/a");
    CHECK_TEXT(path_dir(&arena, "/a"), "/");
    CHECK_TEXT(path_dir(&arena, "a"), ".");
    CHECK_TEXT(path_base("/a/b"), "b");
    CHECK_TEXT(path_base("b"), "b");
    CHECK(path_is_below("/a/b", "/a"));
    CHECK(path_is_below("/a", "/a"));
    CHECK(!path_is_below("/ab", "/a"));
    CHECK(path_is_below("/ab", "/"));
}

TEST(sha256_of_known_texts)
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex("", 0, hex);
    CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, hex);
    CHECK_TEXT(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(sha256_of_parts_tells_them_apart)
{
    cleanup_sha256 struct sha256 one = SHA256_INIT, two = SHA256_INIT;
    char hex_one[SHA256_HEX_SIZE], hex_two[SHA256_HEX_SIZE];

    sha256_init(&one);
    sha256_add_text(&one, "a");
    sha256_add_text(&one, "b");
    sha256_end_hex(&one, hex_one);
    sha256_init(&two);
    sha256_add_text(&two, "ab");
    sha256_add_text(&two, "");
    sha256_end_hex(&two, hex_two);
    CHECK(strcmp(hex_one, hex_two) != 0);
}

TEST(digests_are_checked_strictly)
{
    CHECK(
        digest_is_valid("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    CHECK(!digest_is_valid(
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    CHECK(
        !digest_is_valid("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"));
    CHECK(!digest_is_valid(
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0"));
    CHECK(!digest_is_valid("sha512:00"));
    CHECK(!digest_is_valid(""));
}

TEST(random_names_have_the_length_and_differ)
{
    char a[13], b[13], long_name[201];

    random_hex(a, 12);
    random_hex(b, 12);
    CHECK_INT(strlen(a), 12);
    CHECK(strcmp(a, b) != 0);
    random_hex(long_name, 200);
    CHECK_INT(strspn(long_name, "0123456789abcdef"), 200);
}
