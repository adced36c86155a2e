/* Templates from hostile bytes: they expand or are refused; without a dollar they stay as they are.
 */

#include <stdint.h>
#include <stdlib.h>

#include "compose/file/interpolate.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pair items[] = {{"A", "value"}, {"B", ""}, {"C", "$A ${B}"}};
    struct pairs pairs = {items, 3};
    struct variables variables = {.find = variables_find_sorted, .context = &pairs};
    struct str text = {(const char *)data, size};
    struct error err = ERROR_INIT;
    struct buf out;
    int result;

    buf_init(&out, INTERPOLATE_TEXT_MAX);
    result = interpolate_text(text, &variables, &out, &err);
    if ((result < 0) != (err.code != ERROR_NONE))
        abort();
    if (size > 0 && size < INTERPOLATE_TEXT_MAX && !memchr(data, '$', size) &&
        (result < 0 || out.len != size || memcmp(out.data, data, size) != 0))
        abort();
    buf_release(&out);
    return 0;
}
