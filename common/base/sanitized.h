// SPDX-License-Identifier: AGPL-3.0-only
// kSanitized: whether this build has a sanitizer's runtime in it, which makes system calls, maps memory and waits in ways of its own. The
// build does not allow one in a release (cmake/Toolchain.cmake).
#ifndef AUSPEX_COMMON_BASE_SANITIZED_H_
#define AUSPEX_COMMON_BASE_SANITIZED_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace auspex {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// Has the sanitizer's runtime read the program's names while it may: it does so at its first report, which a daemon that has given
// up its files could not print with names, nor compare with tests/tsan.supp. Without a sanitizer, nothing.
inline void ReadNamesForSanitizer() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  char name[256];
  __sanitizer_symbolize_pc(reinterpret_cast<void*>(&ReadNamesForSanitizer), "%f", name,
                           sizeof name);
#endif
}

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_SANITIZED_H_
