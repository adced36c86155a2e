/* alloc, arena, buf, vec, list, cleanup */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/list.h"
#include "engine/base/process.h"
#include "engine/base/vec.h"
#include "tests/tap.h"

TEST(alloc_gives_zeroed_memory_that_free_takes)
{
    unsigned char *bytes = x_alloc_array(100, 10);

    for (size_t i = 0; i < 1000; i++)
        CHECK_INT(bytes[i], 0);
    free(bytes);
    free(x_alloc(0));
    free(x_printf("%d", 1));
}

TEST(strndup_stops_at_the_end_of_the_text)
{
    cleanup_free char *a = x_strndup("abc", 2), *b = x_strndup("abc", 99);

    CHECK_TEXT(a, "ab");
    CHECK_TEXT(b, "abc");
}

TEST(arena_memory_is_zeroed_aligned_and_apart)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    unsigned char *before = NULL;

    for (size_t size = 1; size < 3000; size += 7) {
        unsigned char *memory = arena_alloc(&arena, size);

        CHECK_INT((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            CHECK_INT(memory[i], 0);
        memset(memory, 0xff, size);
        if (before)
            CHECK_INT(before[0], 0xff);
        before = memory;
    }
}

TEST(arena_takes_what_is_larger_than_a_block)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    char *small = arena_strdup(&arena, "small");
    char *large = arena_alloc(&arena, 1 << 20);

    memset(large, 'x', 1 << 20);
    CHECK_TEXT(small, "small");
    CHECK_TEXT(arena_strdup(&arena, "next"), "next");
    CHECK(arena.used_bytes >= 1 << 20);
}

TEST(arena_texts)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK(!arena_strdup(&arena, NULL));
    CHECK_TEXT(arena_strndup(&arena, "abc", 2), "ab");
    CHECK_TEXT(arena_printf(&arena, "%s-%d", "web", 1), "web-1");
    CHECK_TEXT(arena_memdup(&arena, "abc", 4), "abc");
}

TEST(arena_can_be_used_again_after_release)
{
    struct arena arena = ARENA_INIT;

    arena_strdup(&arena, "x");
    arena_release(&arena);
    arena_release(&arena);
    CHECK_TEXT(arena_strdup(&arena, "y"), "y");
    arena_release(&arena);
}

TEST(buf_is_always_terminated_text)
{
    cleanup_buf struct buf buf = BUF_INIT;

    CHECK_TEXT(buf_text(&buf), "");
    buf_add_text(&buf, "a");
    buf_add_char(&buf, 'b');
    buf_add_str(&buf, STR("cd"));
    buf_printf(&buf, "%0100d", 5);
    CHECK_INT(buf.len, 104);
    CHECK_INT(strlen(buf_text(&buf)), 104);
    buf_clear(&buf);
    CHECK_TEXT(buf_text(&buf), "");
}

TEST(buf_stops_at_its_limit_and_says_so)
{
    cleanup_buf struct buf buf = BUF_INIT;

    buf_init(&buf, 5);
    buf_add_text(&buf, "abc");
    CHECK(!buf.truncated);
    buf_printf(&buf, "%s", "defg");
    CHECK(buf.truncated);
    CHECK_TEXT(buf_text(&buf), "abcde");
    buf_add_char(&buf, 'x');
    CHECK_TEXT(buf_text(&buf), "abcde");
    CHECK(!buf_reserve(&buf, 1));
}

TEST(buf_consume_drops_the_front)
{
    cleanup_buf struct buf buf = BUF_INIT;

    buf_add_text(&buf, "abcdef");
    buf_consume(&buf, 2);
    CHECK_TEXT(buf_text(&buf), "cdef");
    buf_consume(&buf, 4);
    CHECK_TEXT(buf_text(&buf), "");
    buf_consume(&buf, 0);
}

TEST(buf_reserve_and_commit_add_what_was_written)
{
    cleanup_buf struct buf buf = BUF_INIT;

    buf_add_char(&buf, '>');
    memcpy(buf_reserve(&buf, 1000), "abc", 3);
    buf_commit(&buf, 3);
    CHECK_TEXT(buf_text(&buf), ">abc");
}

TEST(buf_is_terminated_when_nothing_follows_a_reserve)
{
    /* Memory that was used before: a fresh page would hide a missing end (128: what the buffer asks
     * for). */
    char *dirty = x_alloc(128);
    cleanup_buf struct buf buf = BUF_INIT;

    memset(dirty, 'x', 128);
    free(dirty);
    CHECK(buf_reserve(&buf, 99) != NULL);
    CHECK_TEXT(buf_text(&buf), "");
}

TEST(buf_take_moves_the_text_out)
{
    struct buf buf = BUF_INIT;
    cleanup_free char *empty = buf_take(&buf), *full = NULL;

    CHECK_TEXT(empty, "");
    buf_add_text(&buf, "x");
    full = buf_take(&buf);
    CHECK_TEXT(full, "x");
    CHECK_INT(buf.len, 0);
    CHECK(!buf.data);
}

TEST(vec_grows_and_moves_to_an_arena)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    VEC(size_t) vec = VEC_INIT;
    size_t *items;

    for (size_t i = 0; i < 1000; i++)
        vec_push(&vec, i);
    CHECK_INT(vec.n, 1000);
    CHECK_INT(*vec_last(&vec), 999);
    items = vec_to_arena(&vec, &arena);
    vec_release(&vec);
    CHECK_INT(vec.n, 0);
    CHECK_INT(items[500], 500);
}

struct item {
    int number;
    struct list link;
};

TEST(list_items_can_be_removed_while_walking)
{
    struct item items[4];
    struct list head;
    int sum = 0;

    list_init(&head);
    CHECK(list_is_empty(&head));
    for (int i = 0; i < 4; i++) {
        items[i].number = i + 1;
        list_append(&head, &items[i].link);
    }
    list_for_each (at, &head) {
        struct item *item = container_of(at, struct item, link);

        sum = sum * 10 + item->number;
        if (item->number % 2)
            list_remove(at);
    }
    CHECK_INT(sum, 1234);
    CHECK(head.next == &items[1].link && head.prev == &items[3].link);
    list_remove(&items[0].link); /* a ring of its own: harmless */
}

TEST(cleanup_closes_at_the_end_of_the_scope_and_keeps_errno)
{
    int number;

    {
        cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        number = fd;
        CHECK(fd >= 0);
        errno = EXDEV;
    }
    CHECK_INT(errno, EXDEV);
    CHECK_INT(fcntl(number, F_GETFD), -1);
}

TEST(take_moves_out_of_the_scope)
{
    int number;

    {
        cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        cleanup_free char *text = x_strdup("x");

        free(ptr_take(&text));
        CHECK(!text);
        number = fd_take(&fd);
        CHECK_INT(fd, -1);
    }
    CHECK(fcntl(number, F_GETFD) >= 0);
    close(number);
}
