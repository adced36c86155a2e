/* The terminal. */

#include "engine/cli/terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/error.h"

bool terminal_is_tty(int fd)
{
    return isatty(fd) == 1;
}

bool terminal_get_size(int fd, struct terminal_size *ret)
{
    struct winsize size;

    /* Serial lines and fresh pseudo terminals say 0: that is no size. */
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
        return false;
    *ret = (struct terminal_size){.columns = size.ws_col, .rows = size.ws_row};
    return true;
}

int terminal_set_size(int fd, struct terminal_size size, struct error *err)
{
    struct winsize wanted = {.ws_col = (unsigned short)size.columns,
                             .ws_row = (unsigned short)size.rows};

    if (ioctl(fd, TIOCSWINSZ, &wanted) < 0)
        return error_sys(err, errno, "set the terminal's size");
    return 0;
}

int terminal_raw_enter(int fd, struct terminal_raw *raw, struct error *err)
{
    struct termios wanted;

    if (tcgetattr(fd, &raw->before) < 0)
        return error_sys(err, errno, "read the terminal's mode");
    wanted = raw->before;
    cfmakeraw(&wanted);
    if (tcsetattr(fd, TCSADRAIN, &wanted) < 0)
        return error_sys(err, errno, "set the terminal to raw mode");
    raw->fd = fd;
    return 0;
}

void terminal_raw_leave(struct terminal_raw *raw)
{
    int saved = errno;

    if (raw->fd >= 0)
        (void)tcsetattr(raw->fd, TCSADRAIN, &raw->before); /* nobody to tell: we are leaving */
    raw->fd = -1;
    errno = saved;
}
