// SPDX-License-Identifier: AGPL-3.0-only
// The tree of RFC 6962 written down as its text has it, recursively and without regard for cost:
// what the tests hold the product's own against. Pure functions.
#ifndef AUSPEX_TESTS_JOURNAL_NAIVE_TREE_H_
#define AUSPEX_TESTS_JOURNAL_NAIVE_TREE_H_

#include <span>
#include <string>
#include <vector>

#include "common/crypto/sha256.h"
#include "common/journal/digest.h"

namespace auspex::naive {

using Leaves = std::span<const std::string>;

inline Digest32 Hash(const std::string& octets) { return ToDigest(Sha256(octets)); }

inline std::string Text(const Digest32& digest) { return std::string(AsText(digest)); }

inline size_t Split(size_t n) {
  size_t k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

// MTH(D[n]).
inline Digest32 Root(Leaves d) {
  if (d.empty()) return Hash("");
  if (d.size() == 1) return Hash(std::string(1, '\0') + d[0]);
  const size_t k = Split(d.size());
  return Hash("\x01" + Text(Root(d.first(k))) + Text(Root(d.subspan(k))));
}

// PATH(m, D[n]).
inline std::vector<Digest32> Path(size_t m, Leaves d) {
  if (d.size() == 1) return {};
  const size_t k = Split(d.size());
  std::vector<Digest32> path = m < k ? Path(m, d.first(k)) : Path(m - k, d.subspan(k));
  path.push_back(m < k ? Root(d.subspan(k)) : Root(d.first(k)));
  return path;
}

// SUBPROOF(m, D[n], b).
inline std::vector<Digest32> SubProof(size_t m, Leaves d, bool b) {
  if (m == d.size()) return b ? std::vector<Digest32>{} : std::vector<Digest32>{Root(d)};
  const size_t k = Split(d.size());
  std::vector<Digest32> proof =
      m <= k ? SubProof(m, d.first(k), b) : SubProof(m - k, d.subspan(k), false);
  proof.push_back(m <= k ? Root(d.subspan(k)) : Root(d.first(k)));
  return proof;
}

}  // namespace auspex::naive

#endif  // AUSPEX_TESTS_JOURNAL_NAIVE_TREE_H_
