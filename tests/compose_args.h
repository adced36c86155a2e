#pragma once

/* The words of a golden case's `args` that are flags of loading: for tests/golden and tests/fuzz.
 */

#include "engine/base/str.h"

/* Of struct project_options' flags; 0 for any other word. */
unsigned args_flag(struct str word);
