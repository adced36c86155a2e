/* Text on its way to a terminal. */

#include "engine/cli/text.h"

#include <string.h>

size_t text_columns(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80; /* continuation bytes take no room */
    return n;
}

void text_clean(char *text, const char *keep)
{
    for (; *text; text++) {
        unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];

        if ((first < 0x20 || first == 0x7f) && !strchr(keep, first)) {
            text[0] = '?';
        } else if (first == 0xc2 && second >= 0x80 && second <= 0x9f) {
            /* U+0080…U+009F; U+009B begins a sequence like ESC [ does. */
            text[0] = '?';
            text[1] = '?';
        }
    }
}
