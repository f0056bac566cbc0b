// SPDX-License-Identifier: AGPL-3.0-only
// Digest32: 32 octets of SHA-256 as a value, for records and maps. Plain data, safe from any
// thread.
#ifndef AUSPEX_COMMON_JOURNAL_DIGEST_H_
#define AUSPEX_COMMON_JOURNAL_DIGEST_H_

#include <algorithm>
#include <array>
#include <string_view>

namespace auspex {

using Digest32 = std::array<unsigned char, 32>;

// The first 32 octets of `octets`, which must have as many.
inline Digest32 ToDigest(std::string_view octets) {
  Digest32 digest{};
  std::copy_n(octets.begin(), digest.size(), digest.begin());
  return digest;
}

inline std::string_view AsText(const Digest32& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_DIGEST_H_
