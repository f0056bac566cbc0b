// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/merkle.h"

#include <bit>
#include <cstring>
#include <utility>

#include "common/crypto/sha256.h"

namespace auspex {

Digest32 LeafHash(std::string_view leaf) {
  // Straight to libsodium: a journal of a million records is hashed at every start.
  static constexpr unsigned char kLeaf = 0;
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, &kLeaf, 1);
  crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(leaf.data()),
                            leaf.size());
  Digest32 digest;
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

Digest32 NodeHash(const Digest32& left, const Digest32& right) {
  std::array<unsigned char, 1 + 2 * sizeof(Digest32)> octets;
  octets[0] = 1;
  std::memcpy(octets.data() + 1, left.data(), left.size());
  std::memcpy(octets.data() + 1 + left.size(), right.data(), right.size());
  Digest32 digest;
  crypto_hash_sha256(digest.data(), octets.data(), octets.size());
  return digest;
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
