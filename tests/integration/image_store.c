/* References, removal and garbage: what stays and what goes. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "tests/integration/image_world.h"
#include "tests/tap.h"

/* An image of one layer whose only file holds `content`. */
static const char *import(struct image_world *world, const char *content, const char *reference)
{
    struct tar tar = {0};

    tar_add(&tar, &(struct tar_item){'0', "file", .content = content, .mode = 0644});
    tar_end(&tar);
    CHECK_OK(try_import(world, tar_write(world, &tar, "image.tar"), reference), &world->err);
    buf_release(&tar.bytes);
    return arena_strdup(&world->arena, world->id);
}

static bool is_there(struct image_world *world, const char *reference_or_id)
{
    struct image_info info;

    return image_find(world->state_fd, &world->arena, reference_or_id, &info, NULL) == 0;
}

static void tag(struct image_world *world, const char *id, const char *name)
{
    struct image_reference reference;

    CHECK_OK(image_reference_parse(&world->arena, name, &reference, &world->err), &world->err);
    CHECK_OK(image_tag(world->state_fd, id, &reference, &world->err), &world->err);
}

static void write_record(struct image_world *world, const char *path, const char *text)
{
    CHECK_OK(fs_make_dirs(world->state_fd, path_dir(&world->arena, path), 0700, &world->err),
             &world->err);
    CHECK_OK(fs_replace(world->state_fd, path, text, strlen(text), 0600, FS_VOLATILE, &world->err),
             &world->err);
}

static void collect(struct image_world *world)
{
    CHECK_OK(image_collect(world->state_fd, NULL, &world->err), &world->err);
}

TEST(an_image_is_found_by_name_id_and_prefix)
{
    struct image_world world;
    const char *id;

    image_world_open(&world);
    id = import(&world, "a", "app:1");
    CHECK(is_there(&world, "app:1"));
    CHECK(is_there(&world, "docker.io/library/app:1"));
    CHECK(is_there(&world, id));
    CHECK(is_there(&world, id + 7));
    CHECK(is_there(&world, arena_strndup(&world.arena, id + 7, 12)));
    CHECK(is_there(&world, arena_strndup(&world.arena, id, 20)));
    CHECK(!is_there(&world, "app:2"));
    CHECK(!is_there(&world, "other"));
    image_world_close(&world);
}

TEST(a_missing_image_says_how_to_get_one)
{
    struct image_world world;
    struct image_info info;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    CHECK_FAILS(image_find(world.state_fd, &world.arena, "web", &info, &err), ERROR_NOT_FOUND,
                "image pull");
    image_world_close(&world);
}

TEST(removing_the_last_reference_removes_the_layers)
{
    struct image_world world;
    const char *id;

    image_world_open(&world);
    id = import(&world, "a", "app:1");
    tag(&world, id, "app:2");
    CHECK_OK(image_remove(world.state_fd, "app:1", false, &world.err), &world.err);
    CHECK(is_there(&world, "app:2"));
    CHECK_INT(count_entries(&world, "layers"), 1);
    CHECK_OK(image_remove(world.state_fd, "app:2", false, &world.err), &world.err);
    CHECK(!is_there(&world, id));
    CHECK_INT(count_entries(&world, "layers"), 0);
    CHECK_INT(count_entries(&world, "refs"), 0);
    image_world_check_tidy(&world);
    image_world_close(&world);
}

TEST(an_image_with_several_names_is_removed_by_id_only_by_force)
{
    struct image_world world;
    const char *id;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    id = import(&world, "a", "app:1");
    tag(&world, id, "app:2");
    CHECK_FAILS(image_remove(world.state_fd, id, false, &err), ERROR_CONFLICT, "\"app:2\"");
    CHECK_OK(image_remove(world.state_fd, id, true, &err), &err);
    CHECK(!is_there(&world, "app:1"));
    CHECK_INT(count_entries(&world, "layers"), 0);
    image_world_close(&world);
}

TEST(removing_what_is_not_there_is_an_error)
{
    struct image_world world;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    CHECK_FAILS(image_remove(world.state_fd, "app", false, &err), ERROR_NOT_FOUND, "\"app\"");
    image_world_close(&world);
}

TEST(an_image_without_a_name_stays_until_it_is_removed)
{
    struct image_world world;
    const char *id;
    struct image_info *images;
    size_t n;

    image_world_open(&world);
    id = import(&world, "a", NULL);
    collect(&world);
    CHECK(is_there(&world, id));
    CHECK_OK(image_list(world.state_fd, &world.arena, &images, &n, &world.err), &world.err);
    CHECK_INT(n, 1);
    CHECK_INT(images[0].references.n, 0);
    CHECK_OK(image_remove(world.state_fd, id, false, &world.err), &world.err);
    CHECK(!is_there(&world, id));
    image_world_close(&world);
}

TEST(a_name_that_moves_lets_the_old_image_go)
{
    struct image_world world;
    const char *old;

    image_world_open(&world);
    old = import(&world, "a", "app");
    import(&world, "b", "app");
    CHECK_INT(count_entries(&world, "layers"), 2);
    collect(&world);
    CHECK(!is_there(&world, old));
    CHECK(is_there(&world, "app"));
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_close(&world);
}

static void write_container(struct image_world *world, const char *id)
{
    write_record(
        world, "containers/0123/container.json",
        arena_printf(&world->arena, "{\"spec\":{\"name\":\"web-1\",\"image_id\":\"%s\"}}", id));
}

TEST(a_container_keeps_its_image)
{
    struct image_world world;
    const char *id;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    id = import(&world, "a", "app");
    write_container(&world, id);
    CHECK_FAILS(image_remove(world.state_fd, "app", false, &err), ERROR_CONFLICT, "\"web-1\"");
    CHECK(is_there(&world, "app"));

    CHECK_OK(image_remove(world.state_fd, "app", true, &err), &err);
    CHECK(!is_there(&world, "app"));
    CHECK_INT(count_entries(&world, "layers"), 1);

    CHECK_OK(fs_remove_tree(world.state_fd, "containers/0123", &err), &err);
    collect(&world);
    CHECK_INT(count_entries(&world, "layers"), 0);
    image_world_close(&world);
}

TEST(a_removed_container_whose_files_are_still_there_keeps_nothing)
{
    struct image_world world;
    struct error err = ERROR_INIT;

    image_world_open(&world);
    write_container(&world, import(&world, "a", "app"));
    CHECK(renameat(world.state_fd, "containers/0123", world.state_fd, "containers/.removed-0123") ==
          0);
    CHECK_OK(image_remove(world.state_fd, "app", false, &err), &err);
    CHECK(!is_there(&world, "app"));
    collect(&world);
    CHECK_INT(count_entries(&world, "layers"), 0);
    image_world_close(&world);
}

TEST(a_container_keeps_the_layers_its_record_names)
{
    struct image_world world;

    image_world_open(&world);
    import(&world, "a", "app");
    write_record(&world, "containers/0123/container.json",
                 arena_printf(&world.arena, "{\"resolved\":{\"layers\":[\"%s\"]}}", world.diff_id));
    CHECK_OK(image_remove(world.state_fd, "app", false, &world.err), &world.err);
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_close(&world);
}

TEST(a_record_nobody_can_read_stops_the_collection)
{
    struct image_world world;

    image_world_open(&world);
    struct error err = ERROR_INIT;
    import(&world, "a", "app");
    import(&world, "b", "app");
    write_record(&world, "containers/0123/container.json", "{ torn");
    CHECK_FAILS(image_collect(world.state_fd, NULL, &err), ERROR_INVALID, "container.json");
    CHECK_INT(count_entries(&world, "layers"), 2);
    image_world_close(&world);
}

TEST(the_build_cache_keeps_layers_and_images)
{
    struct image_world world;
    const char *id;

    image_world_open(&world);
    id = import(&world, "a", "app");
    write_record(&world, "build/roots/one", arena_printf(&world.arena, "%s\n", world.diff_id));
    import(&world, "b", "other");
    write_record(&world, "build/roots/two", world.id); /* no newline at the end */
    CHECK_OK(image_remove(world.state_fd, "app", false, &world.err), &world.err);
    CHECK_OK(image_remove(world.state_fd, "other", false, &world.err), &world.err);
    CHECK_INT(count_entries(&world, "layers"), 2);
    CHECK(!is_there(&world, id));

    struct error err = ERROR_INIT;
    write_record(&world, "build/roots/three", "nonsense\n");
    CHECK_FAILS(image_collect(world.state_fd, NULL, &err), ERROR_INVALID, "build/roots/three");
    image_world_close(&world);
}

TEST(a_lease_keeps_what_it_names_while_its_owner_lives)
{
    struct image_world world;
    struct image_lease lease = IMAGE_LEASE_INIT;
    const char *id;

    image_world_open(&world);
    id = import(&world, "a", "app");
    CHECK_OK(image_lease_open(world.state_fd, &lease, &world.err), &world.err);
    CHECK_OK(image_lease_add(&lease, id, &world.err), &world.err);
    CHECK_OK(image_remove(world.state_fd, "app", false, &world.err), &world.err);
    CHECK(is_there(&world, id));
    CHECK_INT(count_entries(&world, "layers"), 1);

    /* Its owner dies: the file stays, the lock goes. */
    close(lease.fd);
    lease.fd = -1;
    collect(&world);
    CHECK(!is_there(&world, id));
    image_world_check_tidy(&world);
    image_world_close(&world);
}

TEST(nothing_is_collected_while_somebody_holds_the_store)
{
    struct image_world world;
    int hold = -1;

    image_world_open(&world);
    import(&world, "a", "app");
    import(&world, "b", "app");
    CHECK_OK(image_collect_hold(world.state_fd, &hold, &world.err), &world.err);
    CHECK_INT(image_collect(world.state_fd, NULL, &world.err), 1);
    CHECK_INT(count_entries(&world, "layers"), 2);
    close(hold);
    collect(&world);
    CHECK_INT(count_entries(&world, "layers"), 1);
    image_world_close(&world);
}

TEST(an_abandoned_staging_directory_is_swept_and_a_live_one_is_not)
{
    struct image_world world;
    struct layer_stage live = LAYER_STAGE_INIT, dead = LAYER_STAGE_INIT;

    image_world_open(&world);
    CHECK_OK(layer_stage_begin(world.state_fd, &live, &world.err), &world.err);
    CHECK_OK(layer_stage_begin(world.state_fd, &dead, &world.err), &world.err);
    CHECK_INT(count_entries(&world, "staging"), 4);
    close(dead.lock_fd); /* what a death does */
    close(dead.dir_fd);
    close(dead.tree_fd);
    collect(&world);
    CHECK_INT(count_entries(&world, "staging"), 2);
    layer_stage_release(&live);
    CHECK_INT(count_entries(&world, "staging"), 0);
    image_world_close(&world);
}

TEST(an_image_whose_layers_are_missing_is_not_stored)
{
    struct image_world world;
    json_t *config;
    char id[DIGEST_TEXT_SIZE];

    image_world_open(&world);
    struct error err = ERROR_INIT;
    config = image_config_new();
    json_array_append_new(
        json_object_get(json_object_get(config, "rootfs"), "diff_ids"),
        json_string("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    CHECK_FAILS(image_write(world.state_fd, &(struct image_write){.config = config}, id, &err),
                ERROR_NOT_FOUND, "is not in the store");
    CHECK_INT(count_entries(&world, "refs"), 0);
    json_decref(config);
    image_world_close(&world);
}

TEST(images_are_listed_newest_first_with_their_names)
{
    struct image_world world;
    struct image_info *images;
    const char *older, *newer;
    size_t n;

    image_world_open(&world);
    older = import(&world, "a", "older:1");
    newer = import(&world, "b", "newer:1");
    tag(&world, older, "alias");
    CHECK_OK(image_list(world.state_fd, &world.arena, &images, &n, &world.err), &world.err);
    CHECK_INT(n, 2);
    CHECK_TEXT(images[0].id, newer);
    CHECK_INT(images[1].references.n, 2);
    CHECK_TEXT(images[1].references.items[0], "alias:latest");
    CHECK_TEXT(images[1].references.items[1], "older:1");
    image_world_close(&world);
}

TEST(a_pulled_reference_is_pinned_to_the_digest_it_was_pulled_as)
{
    static const char digest[] =
        "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    struct image_world world;
    struct image_reference reference;
    const char *pinned = NULL;
    cleanup_json json_t *config = NULL;
    char id[DIGEST_TEXT_SIZE];

    image_world_open(&world);
    CHECK_OK(image_config_read(world.state_fd, import(&world, "a", "made:1"), &config, &world.err),
             &world.err);
    CHECK_OK(image_reference_parse(&world.arena, "team/app:2", &reference, &world.err), &world.err);
    CHECK_OK(image_write(world.state_fd,
                         &(struct image_write){.config = config,
                                               .references = &reference,
                                               .n_references = 1,
                                               .manifest = digest},
                         id, &world.err),
             &world.err);
    CHECK_OK(image_pin(world.state_fd, &world.arena, "team/app:2", &pinned, &world.err),
             &world.err);
    CHECK_TEXT(pinned, arena_printf(&world.arena, "docker.io/team/app:2@%s", digest));
    CHECK_OK(image_pin(world.state_fd, &world.arena,
                       arena_printf(&world.arena, "nowhere@%s", digest), &pinned, &world.err),
             &world.err);
    CHECK_TEXT(pinned, arena_printf(&world.arena, "docker.io/library/nowhere@%s", digest));
    CHECK_INT(image_pin(world.state_fd, &world.arena, "made:1", &pinned, &world.err), 1);
    CHECK_INT(image_pin(world.state_fd, &world.arena, "team/app:3", &pinned, &world.err), 1);
    CHECK(image_pin(world.state_fd, &world.arena, "Not A Name", &pinned, &world.err) < 0);
    image_world_close(&world);
}
