// SPDX-License-Identifier: AGPL-3.0-only
// The Merkle tree of RFC 6962, section 2.1, over the bodies of the journal's records: hashes of
// leaves and nodes, and CompactTree, which appends and gives the root without keeping the leaves.
// Values; safe from any thread as far as no two threads use one object. Proofs: proof.h.
#ifndef AUSPEX_COMMON_JOURNAL_MERKLE_H_
#define AUSPEX_COMMON_JOURNAL_MERKLE_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/journal/digest.h"

namespace auspex {

// SHA-256(0x00 || leaf).
Digest32 LeafHash(std::string_view leaf);
// SHA-256(0x01 || left || right).
Digest32 NodeHash(const Digest32& left, const Digest32& right);
// The root of no leaves: SHA-256 of nothing.
Digest32 EmptyRoot();

// The tree after `size` leaves, as the hashes of its complete subtrees, largest first: at most 64.
class CompactTree {
 public:
  CompactTree() = default;
  // Continues a tree; nullopt when `subtrees` has not one hash for each bit set in `size`.
  static std::optional<CompactTree> Continue(uint64_t size, std::vector<Digest32> subtrees);

  void Append(const Digest32& leaf_hash);
  uint64_t size() const { return size_; }
  const std::vector<Digest32>& subtrees() const { return subtrees_; }
  // MTH of RFC 6962.
  Digest32 Root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Digest32> subtrees_;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_MERKLE_H_
