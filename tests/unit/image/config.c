/* Dockerfile instructions applied to configs. */

#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/image/image.h"
#include "tests/tap.h"

static const struct good {
    const char *line, *config; /* compact JSON of "config" after it, from an empty one */
} good[] = {
    {"CMD [\"a\", \"b c\"]", "{\"Cmd\":[\"a\",\"b c\"]}"},
    {"cmd echo $HOME", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME\"]}"},
    {"CMD []", "{\"Cmd\":[]}"},
    {"CMD [not json", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[not json\"]}"},
    {"ENTRYPOINT [\"/x\"]", "{\"Entrypoint\":[\"/x\"]}"},
    {"ENV A=b C=\"d e\" F='$g'", "{\"Env\":[\"A=b\",\"C=d e\",\"F=$g\"]}"},
    {"ENV A b  c", "{\"Env\":[\"A=b  c\"]}"},
    {"ENV A=\\$x", "{\"Env\":[\"A=$x\"]}"},
    {"ENV A=", "{\"Env\":[\"A=\"]}"},
    {"LABEL a.b=c \"d e\"=f", "{\"Labels\":{\"a.b\":\"c\",\"d e\":\"f\"}}"},
    {"EXPOSE 80 53/udp 8000-8001",
     "{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"8000/tcp\":{},\"8001/tcp\":{}}}"},
    {"USER 1000:1000", "{\"User\":\"1000:1000\"}"},
    {"WORKDIR /a/../b", "{\"WorkingDir\":\"/b\"}"},
    {"WORKDIR x", "{\"WorkingDir\":\"/x\"}"},
    {"VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}"},
    {"VOLUME [\"/a b\"]", "{\"Volumes\":{\"/a b\":{}}}"},
    {"STOPSIGNAL SIGQUIT", "{\"StopSignal\":\"SIGQUIT\"}"},
    {"HEALTHCHECK NONE", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"},
    {"HEALTHCHECK --interval=1s --retries=3 CMD curl -f x || exit 1",
     "{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl -f x || exit "
     "1\"],\"Interval\":1000000000,\"Retries\":3}}"},
    {"HEALTHCHECK CMD [\"a\",\"b\"]", "{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\",\"b\"]}}"},
    {"SHELL [\"/bin/bash\",\"-c\"]", "{\"Shell\":[\"/bin/bash\",\"-c\"]}"},
    {"ONBUILD RUN make", "{\"OnBuild\":[\"RUN make\"]}"},
};

static const char *config_text(struct buf *out, const json_t *image)
{
    buf_clear(out);
    json_print(out, json_object_get(image, "config"));
    return buf_text(out);
}

TEST(instructions_change_the_config_as_docker_does)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        cleanup_buf struct buf text = BUF_INIT;
        cleanup_json json_t *image = json_object();
        struct error err = ERROR_INIT;

        CHECK_OK(image_config_apply_change(image, good[i].line, &err), &err);
        CHECK_TEXT(config_text(&text, image), good[i].config);
    }
}

TEST(later_instructions_build_on_earlier_ones)
{
    static const char *const lines[] = {"ENV A=1 B=2",   "ENV A=3",  "WORKDIR /a", "WORKDIR b",
                                        "SHELL [\"x\"]", "CMD line", "LABEL l=1",  "LABEL l=2"};
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_json json_t *image = json_object();
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        CHECK_OK(image_config_apply_change(image, lines[i], &err), &err);
    CHECK_TEXT(config_text(&text, image),
               "{\"Env\":[\"A=3\",\"B=2\"],\"WorkingDir\":\"/a/b\",\"Shell\":[\"x\"],\"Cmd\":["
               "\"x\",\"line\"],\"Labels\":{\"l\":\"2\"}}");
}

static const struct bad {
    const char *line, *reason;
} bad[] = {
    {"", "empty"},
    {"RUN make", "\"RUN\" cannot be used here"},
    {"FROM x", "\"FROM\""},
    {"ENV", "name=value"},
    {"ENV A", "no value"},
    {"ENV =b", "not name=value"},
    {"ENV A=\"b", "not closed"},
    {"ENV A=$HOME", "not expanded"},
    {"EXPOSE", "needs a port"},
    {"EXPOSE 70000", "70000"},
    {"EXPOSE 80/icmp", "protocol"},
    {"EXPOSE 9-8", "ends before it begins"},
    {"USER a b", "more than one"},
    {"USER", "exactly one"},
    {"STOPSIGNAL SIGNOPE", "SIGNOPE"},
    {"HEALTHCHECK", "needs CMD or NONE"},
    {"HEALTHCHECK --interval=1s NONE", "takes no options"},
    {"HEALTHCHECK --wat=1 CMD x", "--wat=1"},
    {"HEALTHCHECK --interval=1us CMD x", "less than 1ms"},
    {"HEALTHCHECK CMD", "needs a command"},
    {"HEALTHCHECK curl", "\"curl\" is unknown"},
    {"SHELL bash", "JSON list"},
    {"ONBUILD FROM x", "not allowed"},
    {"CMD", "needs a command"},
};

TEST(bad_instructions_are_refused_with_a_reason)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cleanup_json json_t *image = json_object();
        struct error err = ERROR_INIT;

        if (image_config_apply_change(image, bad[i].line, &err) == 0)
            tap_fail(TAP_HERE, "\"%s\" was taken", bad[i].line);
        CHECK_CONTAINS(err.text, bad[i].reason);
    }
}
