/* engine/base/str.h */

#include "engine/base/str.h"

#include "engine/base/arena.h"
#include "tests/tap.h"

TEST(cut_splits_at_the_first_separator)
{
    struct str head, tail;

    CHECK(str_cut(STR("a=b=c"), '=', &head, &tail));
    CHECK(str_is(head, "a"));
    CHECK(str_is(tail, "b=c"));
}

TEST(cut_last_splits_at_the_last_separator)
{
    struct str head, tail;

    CHECK(str_cut_last(STR("a=b=c"), '=', &head, &tail));
    CHECK(str_is(head, "a=b"));
    CHECK(str_is(tail, "c"));
}

TEST(cut_without_separator_gives_all_as_head)
{
    struct str head, tail;

    CHECK(!str_cut(STR("abc"), '=', &head, &tail));
    CHECK(str_is(head, "abc"));
    CHECK_INT(tail.len, 0);
    CHECK(!str_cut((struct str){0}, '=', &head, &tail));
}

TEST(cut_may_write_over_its_input)
{
    struct str rest = STR("a,b,c"), item;

    CHECK(str_cut(rest, ',', &item, &rest));
    CHECK(str_is(item, "a"));
    CHECK(str_is(rest, "b,c"));
}

TEST(compare_orders_bytewise_and_shorter_first)
{
    CHECK(str_compare(STR("a"), STR("b")) < 0);
    CHECK(str_compare(STR("ab"), STR("a")) > 0);
    CHECK_INT(str_compare(STR("a"), STR("a")), 0);
    CHECK(str_compare(STR("a"), STR("\xff")) < 0);
}

TEST(trim_takes_white_space_from_both_ends_only)
{
    CHECK(str_is(str_trim(STR(" \t a b \r\n")), "a b"));
    CHECK_INT(str_trim(STR("  ")).len, 0);
}

TEST(prefixes_and_suffixes)
{
    CHECK(str_starts_with(STR("sha256:x"), "sha256:"));
    CHECK(!str_starts_with(STR("sha"), "sha256:"));
    CHECK(str_ends_with(STR("a.yaml"), ".yaml"));
    CHECK(!str_ends_with(STR("l"), ".yaml"));
    CHECK(text_starts_with("x-berth", "x-"));
    CHECK(text_ends_with("x-berth", "berth"));
    CHECK(!text_ends_with("h", "berth"));
}

TEST(null_text_equals_only_null)
{
    CHECK(text_equal(NULL, NULL));
    CHECK(!text_equal(NULL, ""));
    CHECK(!text_equal("", NULL));
    CHECK(text_equal("a", "a"));
}

TEST(distance_counts_edits_up_to_the_limit)
{
    CHECK_INT(text_distance("kitten", "sitting", 10), 3);
    CHECK_INT(text_distance("", "abc", 10), 3);
    CHECK_INT(text_distance("same", "same", 10), 0);
    CHECK_INT(text_distance("kitten", "sitting", 2), 2);
    CHECK_INT(text_distance("a", "abcdefghijkl", 3), 3);
}

TEST(pairs_sort_keeps_the_order_of_equal_names)
{
    struct pair items[] = {{"b", "1"}, {"a", "2"}, {"b", "0"}, {"a", "1"}};
    struct pairs list = {items, 4};

    pairs_sort(&list);
    CHECK_TEXT(items[0].value, "2");
    CHECK_TEXT(items[1].value, "1");
    CHECK_TEXT(items[2].value, "1");
    CHECK_TEXT(items[3].value, "0");
}

TEST(a_pair_without_value_is_there_but_finds_null)
{
    struct pair items[] = {{"NAME", NULL}};
    struct pairs list = {items, 1};

    CHECK(pairs_have(&list, "NAME"));
    CHECK(!pairs_find(&list, "NAME"));
    CHECK(!pairs_have(&list, "OTHER"));
}

TEST(copies_outlive_their_originals)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char text[] = "one";
    const char *texts[] = {text, "two"};
    struct strings list = {texts, 2}, copy = strings_copy(&arena, &list);

    CHECK(strings_equal(&list, &copy));
    text[0] = 'x';
    CHECK(!strings_equal(&list, &copy));
    CHECK(strings_contain(&copy, "one"));
    CHECK(!strings_contain(&copy, "three"));
}

TEST(strings_sort_is_bytewise)
{
    const char *texts[] = {"b", "B", "a", "A1"};
    struct strings list = {texts, 4};

    strings_sort(&list);
    CHECK_TEXT(texts[0], "A1");
    CHECK_TEXT(texts[1], "B");
    CHECK_TEXT(texts[3], "b");
}

TEST(characters_are_utf8_or_a_byte_that_is_none)
{
    static const struct {
        const char *text;
        uint32_t character;
        size_t len;
    } samples[] = {
        {"a", 'a', 1},
        {"\xc3\xa9z", 0xe9, 2},
        {"\xe2\x82\xac", 0x20ac, 3},
        {"\xef\xbf\xbd", 0xfffd, 3}, /* itself */
        {"\xf0\x9f\x98\x80", 0x1f600, 4},
        {"\xf4\x8f\xbf\xbf", 0x10ffff, 4},
        {"\x80", 0xfffd, 1},
        {"\xc0\x80", 0xfffd, 1},
        {"\xc1\xbf", 0xfffd, 1},
        {"\xe0\x9f\xbf", 0xfffd, 1},
        {"\xed\xa0\x80", 0xfffd, 1},
        {"\xf0\x8f\xbf\xbf", 0xfffd, 1},
        {"\xf4\x90\x80\x80", 0xfffd, 1},
        {"\xf5\x80\x80\x80", 0xfffd, 1},
        {"\xe2\x82", 0xfffd, 1}, /* cut */
        {"\xe2\x82z", 0xfffd, 1},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct str text = str_from(samples[i].text);
        size_t len;

        CHECK_INT(str_first_character(text, &len), samples[i].character);
        CHECK_INT(len, samples[i].len);
        CHECK(str_is_utf8(text) == (samples[i].character != 0xfffd || samples[i].len > 1));
    }
}
