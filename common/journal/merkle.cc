// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/merkle.h"

#include <bit>
#include <cstring>
#include <utility>

#include "common/crypto/sha256.h"

namespace auspex {

Digest32 LeafHash(std::string_view leaf) {
  Sha256Stream hash;
  hash.Update(std::string_view("\0", 1));
  hash.Update(leaf);
  return ToDigest(hash.Finish());
}

Digest32 NodeHash(const Digest32& left, const Digest32& right) {
  std::array<char, 1 + 2 * sizeof(Digest32)> octets;
  octets[0] = 1;
  std::memcpy(octets.data() + 1, left.data(), left.size());
  std::memcpy(octets.data() + 1 + left.size(), right.data(), right.size());
  return ToDigest(Sha256({octets.data(), octets.size()}));
}

Digest32 EmptyRoot() { return ToDigest(Sha256("")); }

std::optional<CompactTree> CompactTree::Continue(uint64_t size, std::vector<Digest32> subtrees) {
  if (static_cast<size_t>(std::popcount(size)) != subtrees.size()) return std::nullopt;
  CompactTree tree;
  tree.size_ = size;
  tree.subtrees_ = std::move(subtrees);
  return tree;
}

void CompactTree::Append(const Digest32& leaf_hash) {
  subtrees_.push_back(leaf_hash);
  // Each bit that is set at the low end is a complete subtree which the new leaf completes to one
  // of twice its size.
  for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    const Digest32 right = subtrees_.back();
    subtrees_.pop_back();
    subtrees_.back() = NodeHash(subtrees_.back(), right);
  }
  ++size_;
}

Digest32 CompactTree::Root() const {
  if (subtrees_.empty()) return EmptyRoot();
  Digest32 root = subtrees_.back();
  for (size_t i = subtrees_.size() - 1; i-- > 0;) root = NodeHash(subtrees_[i], root);
  return root;
}

}  // namespace auspex
