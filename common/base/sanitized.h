// SPDX-License-Identifier: AGPL-3.0-only
// kSanitized: whether this build has a sanitizer's runtime in it, which makes system calls, maps memory and waits in ways of its own. The
// build does not allow one in a release (cmake/Toolchain.cmake).
#ifndef AUSPEX_COMMON_BASE_SANITIZED_H_
#define AUSPEX_COMMON_BASE_SANITIZED_H_

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

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_SANITIZED_H_
