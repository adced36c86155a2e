/* The rulesets we load, as nft would write them: tests/golden/firewall/NAME.nft. That the kernel
 * gets exactly this is checked in tests/integration/network.c. */

#include "engine/network/firewall.h"

#include <fcntl.h>
#include <stdlib.h>

#include "engine/base/buf.h"
#include "engine/base/fs.h"
#include "engine/network/dns_rewrite.h"
#include "tests/tap.h"

static void check_golden(const char *file, const struct buf *got)
{
    cleanup_buf struct buf want = BUF_INIT;
    struct error err = ERROR_INIT;
    int dir_fd = open("tests/golden/firewall", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(dir_fd >= 0);
    if (getenv("GOLDEN_ACCEPT") != NULL)
        CHECK_OK(fs_replace(dir_fd, file, buf_text(got), got->len, 0644, FS_VOLATILE, &err), &err);
    CHECK_OK(fs_read_file(dir_fd, file, 1 << 20, &want, &err), &err);
    CHECK_TEXT(buf_text(got), buf_text(&want));
}

TEST(the_table_of_the_host)
{
    cleanup_buf struct buf got = BUF_INIT;

    firewall_print(&got);
    check_golden("host.nft", &got);
}

TEST(the_rewriting_in_a_container)
{
    struct dns_rewrite rewrite = {.udp_port = 40001, .tcp_port = 40002};
    cleanup_buf struct buf got = BUF_INIT;

    dns_rewrite_print(&got, &rewrite);
    check_golden("container.nft", &got);
}
