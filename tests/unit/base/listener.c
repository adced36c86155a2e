#include "engine/base/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "tests/tap.h"

struct fixture {
    struct event_base *base;
    struct listener *listener;
    int fd;
    int n_accepted, n_troubles, errnum;
};

static void accepted(int fd, void *context)
{
    struct fixture *fixture = context;

    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    fixture->n_accepted++;
}

static void trouble(const struct error *why, void *context)
{
    struct fixture *fixture = context;

    fixture->n_troubles++;
    fixture->errnum = why->errnum;
}

static struct sockaddr_un address(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", tap_temp_dir());
    return address;
}

static void set_up(struct fixture *fixture)
{
    const struct listener_handler handler = {
        .accept = accepted, .trouble = trouble, .context = fixture, .accepts_per_turn = 4};
    struct sockaddr_un name = address();
    struct error err = ERROR_INIT;

    *fixture = (struct fixture){.base = event_base_new()};
    fixture->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(fixture->fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    CHECK(listen(fixture->fd, 64) == 0);
    CHECK_OK(listener_new(fixture->base, fixture->fd, &handler, &fixture->listener, &err), &err);
    CHECK_OK(listener_on(fixture->listener, &err), &err);
}

static void tear_down(struct fixture *fixture)
{
    listener_free(fixture->listener);
    CHECK_INT(event_base_get_num_events(fixture->base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(fixture->base);
    close(fixture->fd);
}

static void call(int n)
{
    struct sockaddr_un name = address();

    for (int i = 0; i < n; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    }
}

static void set_files(rlim_t n)
{
    struct rlimit files;

    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = n > 0 ? n : files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

static void turn(struct fixture *fixture)
{
    CHECK(event_base_loop(fixture->base, EVLOOP_ONCE) >= 0);
}

TEST(a_turn_takes_so_many_clients_and_no_more)
{
    struct fixture fixture;

    set_up(&fixture);
    call(6);
    turn(&fixture);
    CHECK_INT(fixture.n_accepted, 4);
    turn(&fixture);
    CHECK_INT(fixture.n_accepted, 6);
    listener_run(fixture.listener);
    CHECK_INT(fixture.n_accepted, 6);
    CHECK_INT(fixture.n_troubles, 0);
    tear_down(&fixture);
}

TEST(without_descriptors_it_pauses_says_so_once_and_goes_on)
{
    struct fixture fixture;
    int64_t before;
    int turns = 0;

    set_up(&fixture);
    call(2);
    set_files(3);
    before = clock_monotonic_ns();
    while (clock_monotonic_ns() - before < 350 * NS_PER_MS) {
        turn(&fixture);
        turns++;
    }
    CHECK(turns <= 10);
    CHECK_INT(fixture.n_accepted, 0);
    CHECK_INT(fixture.n_troubles, 1);
    CHECK_INT(fixture.errnum, EMFILE);
    set_files(0);
    while (fixture.n_accepted < 2)
        turn(&fixture);
    /* The next shortage is told again. */
    call(1);
    set_files(3);
    turn(&fixture);
    CHECK_INT(fixture.n_troubles, 2);
    set_files(0);
    tear_down(&fixture);
}
