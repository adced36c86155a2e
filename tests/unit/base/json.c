/* engine/base/json.h */

#include "engine/base/json.h"

#include <fcntl.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

static json_t *parsed(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *value = NULL;

    CHECK_OK(json_parse(str_from(text), &value, &err), &err);
    return value;
}

TEST(objects_print_in_the_order_they_were_set)
{
    cleanup_json json_t *object = json_object();
    cleanup_buf struct buf out = BUF_INIT;
    const char *items[] = {"x", "y"};
    struct pair pairs[] = {{"B", "1"}, {"A", NULL}};

    json_set_text(object, "z", "1");
    json_set_text(object, "skipped", NULL);
    json_set_i64(object, "a", -5);
    json_set_bool(object, "m", true);
    json_set_strings(object, "list", &(struct strings){items, 2});
    json_set_strings(object, "empty", &(struct strings){0});
    json_set_pairs(object, "env", &(struct pairs){pairs, 2});
    json_print(&out, object);
    CHECK_TEXT(buf_text(&out), "{\"z\":\"1\",\"a\":-5,\"m\":true,\"list\":[\"x\",\"y\"],"
                               "\"env\":{\"B\":\"1\",\"A\":null}}");
}

TEST(pretty_print_ends_with_a_newline)
{
    cleanup_json json_t *object = parsed("{\"a\":[1]}");
    cleanup_buf struct buf out = BUF_INIT;

    json_print_pretty(&out, object);
    CHECK_TEXT(buf_text(&out), "{\n  \"a\": [\n    1\n  ]\n}\n");
}

TEST(getters_name_the_key_that_is_missing_or_wrong)
{
    cleanup_json json_t *object = parsed("{\"text\":\"x\",\"number\":7}");
    struct error err = ERROR_INIT;
    const char *text = NULL;
    int64_t number = 0;

    CHECK_OK(json_get_text(object, "text", &text, &err), &err);
    CHECK_TEXT(text, "x");
    CHECK_OK(json_get_i64(object, "number", &number, &err), &err);
    CHECK_INT(number, 7);
    CHECK_FAILS(json_get_text(object, "gone", &text, &err), ERROR_INVALID, "\"gone\" is missing");
    CHECK_FAILS(json_get_text(object, "number", &text, &err), ERROR_INVALID,
                "\"number\" is not a string");
    CHECK_FAILS(json_get_i64(object, "text", &number, &err), ERROR_INVALID,
                "\"text\" is not a whole number");
}

TEST(or_getters_fall_back)
{
    cleanup_json json_t *object = parsed("{\"t\":\"x\",\"n\":7,\"b\":true}");

    CHECK_TEXT(json_text_or(object, "t", "no"), "x");
    CHECK_TEXT(json_text_or(object, "n", "no"), "no");
    CHECK_INT(json_i64_or(object, "n", 1), 7);
    CHECK_INT(json_i64_or(object, "gone", 1), 1);
    CHECK(json_bool_or(object, "b", false));
    CHECK(json_bool_or(object, "t", true));
    CHECK(!json_text_or(NULL, "t", NULL));
}

TEST(lists_and_pairs_are_copied_into_the_arena)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct strings list;
    struct pairs pairs;

    {
        cleanup_json json_t *object =
            parsed("{\"l\":[\"a\",\"b\"],\"p\":{\"z\":\"1\",\"a\":null}}");

        list = json_strings(&arena, object, "l");
        pairs = json_pairs(&arena, object, "p");
        CHECK_INT(json_strings(&arena, object, "gone").n, 0);
    }
    CHECK_INT(list.n, 2);
    CHECK_TEXT(list.items[1], "b");
    CHECK_INT(pairs.n, 2);
    CHECK_TEXT(pairs.items[0].name, "z");
    CHECK(!pairs.items[1].value);
}

TEST(bad_json_tells_the_place)
{
    struct error err = ERROR_INIT;
    json_t *value = NULL;

    CHECK_FAILS(json_parse(STR("{\n \"a\": }"), &value, &err), ERROR_INVALID, "line 2");
    CHECK_FAILS(json_parse(STR("{\"a\":1,\"a\":2}"), &value, &err), ERROR_INVALID, "duplicate");
    CHECK_FAILS(json_parse(STR("{} x"), &value, &err), ERROR_INVALID, "invalid JSON");
    CHECK_FAILS(json_parse(STR(""), &value, &err), ERROR_INVALID, "invalid JSON");
    CHECK(!value);
}

TEST(hostile_depth_is_refused_not_followed)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    json_t *value = NULL;

    for (size_t i = 0; i < 100000; i++)
        buf_add_char(&text, '[');
    CHECK_FAILS(json_parse(buf_str(&text), &value, &err), ERROR_INVALID, "depth");
}

TEST(text_that_is_no_utf8_is_kept_as_far_as_json_can)
{
    cleanup_json json_t *object = json_object();

    json_set_text(object, "t", "a\xff\xc3\xa4\xe2\x82z");
    CHECK_TEXT(json_text_or(object, "t", NULL), "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(files_are_read_up_to_their_limit)
{
    cleanup_fd int dir = open(tap_temp_dir(), O_DIRECTORY | O_CLOEXEC);
    struct error err = ERROR_INIT;
    cleanup_json json_t *value = NULL;

    CHECK_OK(fs_replace(dir, "x.json", "{\"a\":1}", 7, 0600, FS_VOLATILE, &err), &err);
    CHECK_FAILS(json_read_at(dir, "x.json", 6, &value, &err), ERROR_INVALID, "x.json");
    CHECK_FAILS(json_read_at(dir, "gone.json", 6, &value, &err), ERROR_NOT_FOUND, "gone.json");
    CHECK_OK(json_read_at(dir, "x.json", 7, &value, &err), &err);
    CHECK_INT(json_i64_or(value, "a", 0), 1);
}
