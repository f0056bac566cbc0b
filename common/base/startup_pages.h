// SPDX-License-Identifier: AGPL-3.0-only
// Gives back the pages of this program's code and constants that only its start has touched. A
// statically linked gRPC has megabytes of them, and they count as resident until something else wants
// the memory. What is still needed is mapped again at its next use, from the page cache, by a fault of
// less than a microsecond. Call once, when everything is set up; any thread.
#ifndef AUSPEX_COMMON_BASE_STARTUP_PAGES_H_
#define AUSPEX_COMMON_BASE_STARTUP_PAGES_H_

namespace auspex {

// Only segments that were never writable are let go, so that nothing can be lost. A kernel that
// refuses changes nothing.
void ReleaseStartupPages();

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_STARTUP_PAGES_H_
