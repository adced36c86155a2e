/* Builds against this kernel: COPY, RUN, the cache, and what hostile trees try. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/build/seal.h"
#include "tests/integration/build_world.h"
#include "tests/tap.h"

TEST(copy_puts_files_where_docker_puts_them)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "a.txt", "a", 0640);
    context_file(&world, "dir/b.txt", "b", 0755);
    context_file(&world, "dir/sub/c.txt", "c", 0644);
    context_symlink(&world, "dir/link", "b.txt");
    build(&world, "FROM busybox:1\n"
                  "COPY a.txt /one\n"
                  "COPY a.txt /into/\n"
                  "COPY a.txt /tmp\n"
                  "COPY dir /new\n"
                  "COPY dir /tmp/\n"
                  "COPY dir/*.txt dir/sub /many/\n"
                  "WORKDIR /srv/app\n"
                  "COPY a.txt .\n"
                  "COPY a.txt rel\n"
                  "COPY --chown=app:app --chmod=4711 dir /owned\n"
                  "COPY --chown=5 a.txt /five\n"
                  "COPY [\"a.txt\", \"/with blank\"]\n");
    CHECK_TEXT(built_file(&world, "/one"), "file 640 0:0 a");
    CHECK_TEXT(built_file(&world, "/into/a.txt"), "file 640 0:0 a");
    CHECK_TEXT(built_file(&world, "/into"), "dir 755 0:0");
    CHECK_TEXT(built_file(&world, "/tmp/a.txt"), "file 640 0:0 a");
    CHECK_TEXT(built_file(&world, "/tmp"), "dir 1777 0:0");
    CHECK_TEXT(built_file(&world, "/new/b.txt"), "file 755 0:0 b");
    CHECK_TEXT(built_file(&world, "/new/sub/c.txt"), "file 644 0:0 c");
    CHECK_TEXT(built_file(&world, "/new/link"), "link 777 0:0 b.txt");
    CHECK_TEXT(built_file(&world, "/tmp/sub/c.txt"), "file 644 0:0 c");
    CHECK_TEXT(built_file(&world, "/many/b.txt"), "file 755 0:0 b");
    CHECK_TEXT(built_file(&world, "/many/c.txt"), "file 644 0:0 c");
    CHECK_TEXT(built_file(&world, "/srv/app/a.txt"), "file 640 0:0 a");
    CHECK_TEXT(built_file(&world, "/srv/app/rel"), "file 640 0:0 a");
    CHECK_TEXT(built_file(&world, "/owned"), "dir 4711 1000:1001");
    CHECK_TEXT(built_file(&world, "/owned/sub/c.txt"), "file 4711 1000:1001 c");
    CHECK_TEXT(built_file(&world, "/five"), "file 640 5:5 a");
    CHECK_TEXT(built_file(&world, "/with blank"), "file 640 0:0 a");
    build_world_close(&world);
}

TEST(a_directory_symlink_of_the_image_is_honoured)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "tool", "x", 0755);
    context_file(&world, "root/bin/other", "y", 0755);
    build(&world, "FROM busybox:1\nCOPY tool /bin/\nCOPY root/ /\n");
    CHECK_TEXT(built_file(&world, "/bin"), "link 777 0:0 usr/bin");
    CHECK_TEXT(built_file(&world, "/usr/bin/tool"), "file 755 0:0 x");
    CHECK_TEXT(built_file(&world, "/usr/bin/other"), "file 755 0:0 y");
    build_world_close(&world);
}

TEST(symlinks_of_the_context_never_lead_out_of_it)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "inside", "in", 0644);
    context_symlink(&world, "absolute", "/inside");
    context_symlink(&world, "up", "../../../../../../etc");
    context_symlink(&world, "root-etc", "/etc");
    build(&world, "FROM busybox:1\nCOPY absolute /a\n");
    CHECK_TEXT(built_file(&world, "/a"), "file 644 0:0 in");
    CHECK(try_build(&world, "FROM busybox:1\nCOPY up/shadow /x\n") < 0);
    CHECK_CONTAINS(world.err.text, "Dockerfile:2: \"up/shadow\" not found in the build context");
    CHECK(try_build(&world, "FROM busybox:1\nCOPY root-etc/shadow /x\n") < 0);
    CHECK(try_build(&world, "FROM busybox:1\nCOPY ../../../../../etc/shadow /x\n") < 0);
    build(&world, "FROM busybox:1\nCOPY . /all/\n"); /* as symlinks they are harmless */
    CHECK_TEXT(built_file(&world, "/all/root-etc"), "link 777 0:0 /etc");
    build_world_close(&world);
}

TEST(symlinks_of_the_image_never_lead_out_of_it)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "f", "evil", 0644);
    const char *dockerfile =
        arena_printf(&world.arena,
                     "FROM busybox:1\n"
                     "RUN mkdir -p %s && ln -s %s /out && ln -s ../../../../../..%s /up\n"
                     "COPY f /out/f\n"
                     "COPY f /up/g\n"
                     "WORKDIR /out/made\n",
                     world.dir, world.dir, world.dir);
    build(&world, dockerfile);
    CHECK(access(arena_printf(&world.arena, "%s/f", world.dir), F_OK) < 0);
    CHECK(access(arena_printf(&world.arena, "%s/g", world.dir), F_OK) < 0);
    CHECK(access(arena_printf(&world.arena, "%s/made", world.dir), F_OK) < 0);
    CHECK_TEXT(built_file(&world, arena_printf(&world.arena, "%s/f", world.dir)),
               "file 644 0:0 evil");
    build_world_close(&world);
}

TEST(run_sees_environment_user_and_directory)
{
    struct build_world world;

    build_world_open(&world);
    build(&world, "ARG GLOBAL=g\n"
                  "FROM busybox:1\n"
                  "ARG GLOBAL\n"
                  "ARG LOCAL=l\n"
                  "ENV A=1 B=\"two words\"\n"
                  "WORKDIR /work\n"
                  "RUN echo \"$GLOBAL $LOCAL $A $B $(pwd) $(id -u):$(id -g)\" > /tmp/root\n"
                  "USER app\n"
                  "RUN [\"sh\", \"-c\", \"echo $(id -u):$(id -g) $HOME > /tmp/app\"]\n"
                  "RUN <<END\n"
                  "echo one > /tmp/script\n"
                  "echo two >> /tmp/script\n"
                  "END\n"
                  "RUN cat <<'END' > /tmp/here\n"
                  "$A stays\n"
                  "END\n");
    CHECK_TEXT(built_file(&world, "/tmp/root"), "file 644 0:0 g l 1 two words /work 0:0");
    CHECK_TEXT(built_file(&world, "/tmp/app"), "file 644 1000:1001 1000:1001 /home/app");
    CHECK_TEXT(built_file(&world, "/tmp/script"), "file 644 1000:1001 one");
    CHECK_TEXT(built_file(&world, "/tmp/here"), "file 644 1000:1001 $A stays");
    CHECK_TEXT(built_config_text(&world, "User"), "\"app\"");
    CHECK_TEXT(built_config_text(&world, "WorkingDir"), "\"/work\"");
    CHECK_CONTAINS(built_config_text(&world, "Env"), "\"A=1\",\"B=two words\"");
    build_world_close(&world);
}

TEST(run_deletes_and_replaces_what_lies_below)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "d/x", "x", 0644);
    context_file(&world, "d/y", "y", 0644);
    build(&world, "FROM busybox:1\n"
                  "COPY d /d\n"
                  "RUN rm /d/x && rm -r /tmp && mkdir /tmp && echo new > /tmp/n && ln /d/y /d/z\n");
    CHECK_TEXT(built_file(&world, "/d/x"), "absent");
    CHECK_TEXT(built_file(&world, "/d/z"), "file 644 0:0 y");
    CHECK_TEXT(built_file(&world, "/tmp/n"), "file 644 0:0 new");
    build_world_close(&world);
}

TEST(mount_points_of_the_container_are_not_in_the_layer)
{
    struct build_world world;

    build_world_open(&world);
    build(&world, "FROM busybox:1\nRUN cat /etc/hosts /etc/resolv.conf /proc/version >/dev/null\n");
    CHECK_TEXT(built_file(&world, "/etc/hosts"), "absent");
    CHECK_TEXT(built_file(&world, "/etc/resolv.conf"), "absent");
    CHECK_TEXT(built_file(&world, "/proc"), "absent");
    CHECK_TEXT(built_file(&world, "/sys"), "absent");
    CHECK_TEXT(built_file(&world, "/dev"), "absent");
    json_t *config = built_config(&world);
    CHECK_INT(json_array_size(json_object_get(json_object_get(config, "rootfs"), "diff_ids")), 1);
    json_decref(config);
    build_world_close(&world);
}

static const char *const cached_dockerfile = "FROM busybox:1\n"
                                             "WORKDIR /app\n"
                                             "COPY package .\n"
                                             "RUN echo installing; cp package installed\n"
                                             "COPY . .\n"
                                             "RUN echo building; cat main > built\n"
                                             "CMD [\"cat\", \"built\"]\n";

TEST(a_second_build_runs_nothing_and_gives_the_same_image)
{
    struct build_world world;
    char first[DIGEST_TEXT_SIZE];

    build_world_open(&world);
    context_file(&world, "package", "1", 0644);
    context_file(&world, "main", "2", 0644);
    build(&world, cached_dockerfile);
    CHECK_INT(log_count(&world, "\ninstalling\n") + log_count(&world, "\nbuilding\n"), 2);
    memcpy(first, world.id, sizeof(first));
    build(&world, cached_dockerfile);
    CHECK_INT(log_count(&world, "installing\n") + log_count(&world, "building\n"), 0);
    CHECK_INT(log_count(&world, "(cached)"), 5);
    CHECK_TEXT(world.id, first);
    build_world_close(&world);
}

TEST(a_changed_file_repeats_only_what_comes_after_it)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "package", "1", 0644);
    context_file(&world, "main", "2", 0644);
    build(&world, cached_dockerfile);
    context_file(&world, "main", "3", 0644); /* same size, the same second */
    build(&world, cached_dockerfile);
    CHECK_INT(log_count(&world, "\ninstalling\n"), 0);
    CHECK_INT(log_count(&world, "\nbuilding\n"), 1);
    CHECK_TEXT(built_file(&world, "/app/built"), "file 644 0:0 3");
    build_world_close(&world);
}

TEST(touching_a_file_changes_nothing_but_its_mode_does)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "f", "1", 0644);
    build(&world, "FROM busybox:1\nCOPY f /f\n");
    CHECK(utimensat(AT_FDCWD, arena_printf(&world.arena, "%s/f", world.context), NULL, 0) == 0);
    build(&world, "FROM busybox:1\nCOPY f /f\n");
    CHECK_INT(log_count(&world, "(cached)"), 1);
    context_file(&world, "f", "1", 0755);
    build(&world, "FROM busybox:1\nCOPY f /f\n");
    CHECK_INT(log_count(&world, "(cached)"), 0);
    CHECK_TEXT(built_file(&world, "/f"), "file 755 0:0 1");
    build_world_close(&world);
}

TEST(metadata_before_a_run_does_not_repeat_it)
{
    struct build_world world;

    build_world_open(&world);
    build(&world, "FROM busybox:1\nLABEL a=1\nRUN date +%N > /tmp/d\n");
    build(&world, "FROM busybox:1\nLABEL a=2\nEXPOSE 80\nRUN date +%N > /tmp/d\n");
    CHECK_INT(log_count(&world, "(cached)"), 1);
    CHECK_TEXT(built_config_text(&world, "Labels"), "{\"a\":\"2\"}");
    build(&world, "FROM busybox:1\nENV X=1\nRUN date +%N > /tmp/d\n");
    CHECK_INT(log_count(&world, "(cached)"), 0); /* the command could read it */
    build_world_close(&world);
}

TEST(stages_give_files_to_others_and_unneeded_ones_are_skipped)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "src", "v1", 0644);
    const char *dockerfile = "FROM busybox:1 AS build\n"
                             "COPY src /src\n"
                             "RUN tr v V < /src > /out; chown 7:8 /out\n"
                             "FROM busybox:1 AS never\n"
                             "RUN exit 1\n"
                             "FROM build AS tested\n"
                             "RUN test -f /out\n"
                             "FROM scratch\n"
                             "COPY --from=build /out /bin/\n"
                             "COPY --from=0 /src /\n"
                             "COPY --from=busybox:1 /etc/group /etc/\n";
    build(&world, dockerfile);
    CHECK_TEXT(built_file(&world, "/bin/out"), "file 644 7:8 V1");
    CHECK_TEXT(built_file(&world, "/src"), "file 644 0:0 v1");
    CHECK_TEXT(built_file(&world, "/etc/group"), "file 644 0:0 root:x:0:");
    CHECK_TEXT(built_file(&world, "/usr"), "absent");
    world.request.target = "tested";
    build(&world, dockerfile);
    CHECK_TEXT(built_file(&world, "/out"), "file 644 7:8 V1");
    world.request.target = "tset";
    CHECK(try_build(&world, dockerfile) < 0);
    world.request.target = "testd";
    CHECK(try_build(&world, dockerfile) < 0);
    CHECK_CONTAINS(world.err.text, "did you mean \"tested\"?");
    build_world_close(&world);
}

TEST(a_stage_that_comes_out_the_same_leaves_its_users_cached)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, "src", "1", 0644);
    const char *dockerfile = "FROM busybox:1 AS build\n"
                             "COPY src /src\n"
                             "RUN echo same > /out\n"
                             "FROM busybox:1\n"
                             "COPY --from=build /out /out\n"
                             "RUN echo using\n";
    build(&world, dockerfile);
    context_file(&world, "src", "2", 0644);
    build(&world, dockerfile);
    CHECK_INT(log_count(&world, "(cached)"), 2);
    CHECK_INT(log_count(&world, "\nusing\n"), 0);
    build_world_close(&world);
}

TEST(ignored_files_are_not_there)
{
    struct build_world world;

    build_world_open(&world);
    context_file(&world, ".dockerignore", "*.log\nsecret\nnode_modules\n!node_modules/keep\n",
                 0644);
    context_file(&world, "a.log", "x", 0644);
    context_file(&world, "secret/key", "x", 0644);
    context_file(&world, "node_modules/junk/x", "x", 0644);
    context_file(&world, "node_modules/keep", "k", 0644);
    context_file(&world, "app", "a", 0644);
    context_symlink(&world, "alias", "secret");
    build(&world, "FROM busybox:1\nCOPY . /all\n");
    CHECK_TEXT(built_file(&world, "/all/a.log"), "absent");
    CHECK_TEXT(built_file(&world, "/all/secret"), "absent");
    CHECK_TEXT(built_file(&world, "/all/node_modules/junk"), "absent");
    CHECK_TEXT(built_file(&world, "/all/node_modules/keep"), "file 644 0:0 k");
    CHECK_TEXT(built_file(&world, "/all/app"), "file 644 0:0 a");
    context_file(&world, "a.log", "changed", 0644);
    build(&world, "FROM busybox:1\nCOPY . /all\n");
    CHECK_INT(log_count(&world, "(cached)"), 1);
    CHECK(try_build(&world, "FROM busybox:1\nCOPY a.log /x\n") < 0);
    CHECK_CONTAINS(world.err.text, "\"a.log\" is left out by .dockerignore");
    CHECK(try_build(&world, "FROM busybox:1\nCOPY alias/key /x\n") < 0);
    context_file(&world, "Dockerfile.dockerignore", "app\n", 0644);
    build(&world, "FROM busybox:1\nCOPY . /all\n");
    CHECK_TEXT(built_file(&world, "/all/app"), "absent");
    CHECK_TEXT(built_file(&world, "/all/a.log"), "file 644 0:0 changed");
    build_world_close(&world);
}

TEST(a_run_that_fails_says_how)
{
    struct build_world world;

    build_world_open(&world);
    CHECK(try_build(&world, "FROM busybox:1\n\nRUN echo first; echo oh no >&2; exit 100\n") < 0);
    CHECK_CONTAINS(world.err.text, "Dockerfile:3: RUN exited with code 100; its last lines:");
    CHECK_CONTAINS(world.err.text, "| oh no");
    CHECK_CONTAINS(world.err.text, "RUN echo first;");
    CHECK_INT(log_count(&world, "first\n"), 1);
    CHECK(try_build(&world, "FROM busybox:1\nRUN [\"/none\"]\n") < 0);
    CHECK_CONTAINS(world.err.text, "Dockerfile:2: ");
    CHECK(try_build(&world, "FROM busybox:1\nRUN sh -c 'kill -9 $$'; exit $?\n") < 0);
    CHECK_CONTAINS(world.err.text, "SIGKILL");
    build(&world, "FROM busybox:1\nRUN true\n"); /* and nothing is broken */
    build_world_close(&world);
}

TEST(what_cannot_be_done_is_said_before_anything_runs)
{
    struct build_world world;

    build_world_open(&world);
    CHECK(try_build(&world, "FROM busybox:1\nRUN echo ran\nONBUILD RUN x\n") < 0);
    CHECK_CONTAINS(world.err.text, "Dockerfile:3: ONBUILD is not supported");
    CHECK_INT(log_count(&world, "ran"), 0);
    CHECK(try_build(&world, "FROM nothere:1\n") < 0);
    CHECK_CONTAINS(world.err.text, "Dockerfile:1: ");
    CHECK(try_build(&world, "FROM busybox:1\nADD http://example.com/x /x\n") < 0);
    CHECK_CONTAINS(world.err.text, "ADD of a URL is not supported");
    CHECK(try_build(&world, "FROM busybox:1\nCOPY --chown=nobody Dockerfile /x\n") < 0);
    CHECK_CONTAINS(world.err.text, "--chown=nobody");
    CHECK(try_build(&world, "FROM busybox:1\nCOPY Dockerfile Dockerfile /x\n") < 0);
    CHECK_CONTAINS(world.err.text, "write \"/x/\"");
    build_world_close(&world);
}

TEST(the_config_is_what_the_instructions_say)
{
    struct build_world world;
    struct pair label = {"made.by", "test"};

    build_world_open(&world);
    world.request.labels = (struct pairs){&label, 1};
    build(&world, "FROM busybox:1 AS base\n"
                  "CMD [\"inherited\"]\n"
                  "FROM base\n"
                  "ENV PORTS=\"80 8000-8001/udp\"\n"
                  "EXPOSE $PORTS 443/TCP\n"
                  "VOLUME /data /log\n"
                  "ENTRYPOINT exec app\n"
                  "STOPSIGNAL SIGQUIT\n"
                  "SHELL [\"/bin/ash\", \"-c\"]\n"
                  "HEALTHCHECK --interval=5s --retries=2 CMD test -f /ok\n"
                  "MAINTAINER Some One\n");
    CHECK_TEXT(built_config_text(&world, "Cmd"), "absent");
    CHECK_TEXT(built_config_text(&world, "Entrypoint"), "[\"/bin/sh\",\"-c\",\"exec app\"]");
    CHECK_TEXT(built_config_text(&world, "ExposedPorts"),
               "{\"80/tcp\":{},\"8000/udp\":{},\"8001/udp\":{},\"443/tcp\":{}}");
    CHECK_TEXT(built_config_text(&world, "Volumes"), "{\"/data\":{},\"/log\":{}}");
    CHECK_TEXT(built_config_text(&world, "Healthcheck"),
               "{\"Test\":[\"CMD-SHELL\",\"test -f /ok\"],\"Interval\":5000000000,\"Retries\":2}");
    CHECK_TEXT(built_config_text(&world, "Labels"), "{\"made.by\":\"test\"}");
    CHECK_TEXT(built_config_text(&world, "Shell"), "[\"/bin/ash\",\"-c\"]");
    build_world_close(&world);
}

TEST(build_arguments_reach_declared_args_only)
{
    struct build_world world;
    struct pair args[] = {
        {"BASE", "busybox"}, {"X", "given"}, {"STRAY", "s"}, {"HTTP_PROXY", "http://proxy"}};

    build_world_open(&world);
    world.request.args = (struct pairs){args, 4};
    build(&world, "ARG BASE=none\nFROM $BASE:1\nARG X=default\n"
                  "RUN echo \"$X ${STRAY-unset} $HTTP_PROXY\" > /out\n");
    CHECK_TEXT(built_file(&world, "/out"), "file 644 0:0 given unset http://proxy");
    CHECK_INT(log_count(&world, "no ARG asks for the build argument STRAY"), 1);
    CHECK_INT(log_count(&world, "build argument HTTP_PROXY"), 0);
    args[3].value = "http://other";
    build(&world, "ARG BASE=none\nFROM $BASE:1\nARG X=default\n"
                  "RUN echo \"$X ${STRAY-unset} $HTTP_PROXY\" > /out\n");
    CHECK_INT(log_count(&world, "(cached)"), 1);
    build_world_close(&world);
}

TEST(here_documents_are_files_too)
{
    struct build_world world;

    build_world_open(&world);
    build(&world, "FROM busybox:1\nENV A=value\n"
                  "COPY --chmod=600 <<one <<'two' /etc/conf/\n"
                  "a=$A\none\na=$A\ntwo\n");
    CHECK_TEXT(built_file(&world, "/etc/conf/one"), "file 600 0:0 a=value");
    CHECK_TEXT(built_file(&world, "/etc/conf/two"), "file 600 0:0 a=$A");
    build_world_close(&world);
}

TEST(nothing_is_left_behind)
{
    struct build_world world;
    struct strings names = {0};
    struct error err = ERROR_INIT;

    build_world_open(&world);
    build(&world, "FROM busybox:1\nRUN ip addr > /net\n");
    CHECK(try_build(&world, "FROM busybox:1\nRUN false\n") < 0);
    CHECK_OK(fs_list(world.state_fd, "staging", &world.arena, &names, &err), &err);
    CHECK_INT(names.n, 0);
    CHECK_OK(fs_list(world.run_fd, "networks", &world.arena, &names, &err), &err);
    for (size_t i = 0; i < names.n; i++)
        CHECK(!text_equal(names.items[i], "berth_build"));
    build_world_close(&world);
}

/* The worker is looked for beside the program, which is not where make puts tests. */
static void link_worker(void)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char self[4096] = "";

    CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    const char *dir = path_dir(&arena, self);
    if (access(arena_printf(&arena, "%s/../../berth-worker", dir), X_OK) != 0)
        SKIP("needs berth-worker: make all");
    if (symlink("../../berth-worker", arena_printf(&arena, "%s/berth-worker", dir)) < 0)
        CHECK_INT(errno, EEXIST);
}

static void make_archive(const struct build_world *world)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *line = arena_printf(&arena,
                                    "cd %s && mkdir -p tree/bin tree/data && echo x > tree/bin/x &&"
                                    " echo d > tree/data/d && chown 3:4 tree/data/d &&"
                                    " tar -czf a.tar.gz -C tree . && echo no | gzip > text.gz",
                                    world->context);
    const char *const argv[] = {"sh", "-c", line, NULL};

    world_run(argv);
}

TEST(add_unpacks_archives_and_copies_the_rest)
{
    struct build_world world;

    build_world_open(&world);
    link_worker();
    make_archive(&world);
    context_file(&world, "plain", "p", 0644);
    build(&world, "FROM busybox:1\nADD a.tar.gz /opt\nADD --chown=9:9 a.tar.gz /owned/\n"
                  "ADD text.gz /text.gz\nADD plain /p\nCOPY a.tar.gz /copied\n");
    CHECK_TEXT(built_file(&world, "/opt/bin/x"), "file 644 0:0 x");
    CHECK_TEXT(built_file(&world, "/opt/data/d"), "file 644 3:4 d");
    CHECK_TEXT(built_file(&world, "/owned/data/d"), "file 644 9:9 d");
    CHECK_CONTAINS(built_file(&world, "/text.gz"), "file 644 0:0 \x1f\x8b");
    CHECK_TEXT(built_file(&world, "/p"), "file 644 0:0 p");
    CHECK_CONTAINS(built_file(&world, "/copied"), "file 644 0:0 \x1f\x8b");
    build_world_close(&world);
}

static int write_to_fd(const void *data, size_t len, void *context, struct error *err)
{
    return fs_write_all(*(int *)context, data, len, err);
}

/* GNU tar reads what the diff id is made of, and finds the same files in it. */
TEST(the_archive_behind_a_diff_id_is_a_good_tar)
{
    struct build_world world;
    struct image_info info;
    struct error err = ERROR_INIT;
    const char *tar, *out, *line;
    int tree_fd;

    build_world_open(&world);
    context_file(&world, arena_printf(&world.arena, "long/%0150d/%0120d", 1, 2), "deep", 0600);
    context_file(&world, "f", "content", 04755);
    context_symlink(&world, "link", "a target");
    build(&world, "FROM scratch\nCOPY --chown=123456789:5 . /\nCOPY f /dir/\n");
    CHECK_OK(image_find(world.state_fd, &world.arena, world.id, &info, &err), &err);
    CHECK_OK(layer_open(world.state_fd, info.layers.items[0], &tree_fd, NULL, &err), &err);
    int read_fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tar = arena_printf(&world.arena, "%s/layer.tar", world.dir);
    out = arena_printf(&world.arena, "%s/out", world.dir);
    int tar_fd = open(tar, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(tree_fd >= 0 && read_fd >= 0 && tar_fd >= 0);
    CHECK_OK(layer_write_tar(read_fd, write_to_fd, &tar_fd, NULL, NULL, &err), &err);
    line = arena_printf(&world.arena,
                        "list() { (cd \"$1\" && find . -mindepth 1 -printf '%%P %%y %%m %%U:%%G "
                        "%%l %%T@\\n' | sort); }\n"
                        "mkdir %s; tar -xpf %s -C %s\n"
                        "[ \"sha256:$(sha256sum < %s | cut -c1-64)\" = %s ]\n"
                        "list %s > %s.1; list %s/state/%s > %s.2; diff %s.1 %s.2; diff -r "
                        "--no-dereference %s %s/state/%s\n",
                        out, tar, out, tar, info.layers.items[0], out, out, world.dir,
                        layer_path(&world.arena, info.layers.items[0]), out, out, out, out,
                        world.dir, layer_path(&world.arena, info.layers.items[0]));
    const char *const argv[] = {"sh", "-ec", line, NULL};
    world_run(argv);
    close(tar_fd);
    close(read_fd);
    close(tree_fd);
    build_world_close(&world);
}
