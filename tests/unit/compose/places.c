/* Messages about hostile files: where they point, and what they can do to a terminal. */

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "tests/compose_laws.h"
#include "tests/tap.h"

static struct arena arena; /* a test is a process: never released */

/* What is said about a file that is refused. */
static const char *said_about(const char *text, struct error *err)
{
    static struct pair home = {"HOME", "/home/user"};
    struct project_options options = {
        .working_dir = "/work", .name = "p", .environment = {&home, 1}};
    struct diagnostics diagnostics;
    const struct project *project;
    struct buf out = BUF_INIT;
    const char *said;

    CHECK(load_text(&arena, &options, str_from(text), &project, &diagnostics, err) < 0);
    diagnostics_print(&out, &diagnostics, DIAGNOSTICS_PLAIN);
    said = arena_strdup(&arena, buf_text(&out));
    buf_release(&out);
    return said;
}

TEST(lines_are_counted_as_editors_do)
{
    struct error err = ERROR_INIT;

    /* for libyaml, which reads YAML 1.1, each of these ends a line */
    CHECK_TEXT(
        said_about("x-a: \"\xc2\x85\"\nx-b: [\"\xe2\x80\xa8\", \"\xe2\x80\xa9 \"]\nnope: 1\n",
                   &err),
        "-:3:1: error: unknown key \"nope\" at the top level\n    nope: 1\n    ^\n    hint: did "
        "you mean \"name\"?\n");
    CHECK_TEXT(said_about("x-a: {\r\r\r}\nnope: 1\n", &err),
               "-:2:1: error: unknown key \"nope\" at the top level\n    nope: 1\n    ^\n    hint: "
               "did you mean \"name\"?\n");
    CHECK_TEXT(said_about("x-a: 1\r\nnope: 1\r\n", &err),
               "-:2:1: error: unknown key \"nope\" at the top level\n    nope: 1\n    ^\n    hint: "
               "did you mean \"name\"?\n");
}

TEST(columns_behind_what_ends_no_line_are_right)
{
    struct error err = ERROR_INIT;

    CHECK_TEXT(said_about("{x-a: \"\xc2\x85\", nope: 1}\n", &err),
               "-:1:12: error: unknown key \"nope\" at the top level\n"
               "    {x-a: \"?\", nope: 1}\n"
               "               ^\n"
               "    hint: did you mean \"name\"?\n");
    CHECK_TEXT(said_about("{x-a: 1,\r nope: 1}\n", &err),
               "-:1:11: error: unknown key \"nope\" at the top level\n"
               "    {x-a: 1,? nope: 1}\n"
               "              ^\n"
               "    hint: did you mean \"name\"?\n");
}

TEST(an_unclosed_block_names_a_line_that_exists)
{
    struct error err = ERROR_INIT;

    CHECK_CONTAINS(said_about("x-a: {\r\r\r}\nservices:\n  a: [\n", &err), "-:3:7: error: ");
    CHECK_CONTAINS(said_about("x-a: {\r\r\r}\nservices:\n  a:\n    b: 1\n   c: 2\n", &err),
                   "begins at line 3)");
}

TEST(messages_have_no_control_characters)
{
    struct error err = ERROR_INIT;
    const char *said = said_about("x-a: \"${FOO:?\\e]0;owned\\a\\u009b2J\\n\\tno\"\n", &err);

    CHECK_TEXT(err.text, "-:1:7: invalid interpolation format for x-a: invalid template: "
                         "\"${FOO:??]0;owned???2J??no\" is not closed");
    CHECK_CONTAINS(said, "invalid template: \"${FOO:??]0;owned???2J??no\" is not closed\n");
    said = said_about("services: {a: {image: b, \"\\e[2J\": 1}}\n", &err);
    CHECK_CONTAINS(said, "unknown key \"?[2J\"");
    said = said_about("services: {a: {image: b, \"imag\\e\": 1}}\n", &err);
    CHECK(strchr(said, '\033') == NULL);
    said = said_about("services: {a: {image: b, user: \"${X:?\\e[2J}\"}}\n", &err);
    CHECK_CONTAINS(said, "?[2J");
    CHECK(strchr(said, '\033') == NULL && strchr(err.text, '\033') == NULL);
}
