// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/proof.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex {
namespace {

// The largest power of two below `count`, which is at least 2.
uint64_t SplitOf(uint64_t count) { return std::bit_floor(count - 1); }

absl::StatusOr<Proof> Hash(std::vector<LeafRange> ranges, const LeafSource& leaf) {
  uint64_t end = 0;
  for (const LeafRange& range : ranges) end = std::max(end, range.end);
  RangeHasher hasher(std::move(ranges));
  for (uint64_t index = 0; index < end; ++index) {
    ASSIGN_OR_RETURN(const Digest32 hash, leaf(index));
    hasher.Add(hash);
  }
  return hasher.Finish();
}

absl::Status Shows(bool shown, std::string_view what) {
  return shown ? absl::OkStatus() : absl::DataLossError(Cat("the proof does not show ", what));
}

// The two positions that a verifier moves up the tree: of the node at hand and of the last one.
struct Climb {
  uint64_t node, last;
  // True when the next hash of the proof stands to the left of the node at hand.
  bool FromLeft() const { return (node & 1) != 0 || node == last; }
  void Up() {
    node >>= 1;
    last >>= 1;
  }
  // Passes the levels on which the node at hand, the last one, has no neighbour.
  void SkipLoneLevels() {
    while ((node & 1) == 0 && node != 0) Up();
  }
};

}  // namespace

absl::StatusOr<std::vector<LeafRange>> InclusionRanges(uint64_t index, uint64_t size) {
  if (index >= size)
    return absl::InvalidArgumentError(Cat("no leaf ", index, " in a tree of ", size));
  std::vector<LeafRange> ranges;
  for (uint64_t begin = 0, end = size; end - begin > 1;) {
    const uint64_t middle = begin + SplitOf(end - begin);
    if (index < middle) {
      ranges.push_back({middle, end});
      end = middle;
    } else {
      ranges.push_back({begin, middle});
      begin = middle;
    }
  }
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

absl::StatusOr<std::vector<LeafRange>> ConsistencyRanges(uint64_t old_size, uint64_t new_size) {
  if (old_size > new_size) {
    return absl::InvalidArgumentError(
        Cat("a tree of ", new_size, " leaves does not continue one of ", old_size));
  }
  std::vector<LeafRange> ranges;
  if (old_size == 0 || old_size == new_size) return ranges;
  uint64_t begin = 0, end = new_size;
  while (old_size != end) {
    const uint64_t middle = begin + SplitOf(end - begin);
    if (old_size <= middle) {
      ranges.push_back({middle, end});
      end = middle;
    } else {
      ranges.push_back({begin, middle});
      begin = middle;
    }
  }
  // What the verifier has already, the old root, is left out.
  if (begin != 0) ranges.push_back({begin, end});
  std::reverse(ranges.begin(), ranges.end());
  return ranges;
}

RangeHasher::RangeHasher(std::vector<LeafRange> ranges) {
  parts_.reserve(ranges.size());
  for (const LeafRange& range : ranges) parts_.push_back({range, CompactTree()});
}

void RangeHasher::Add(const Digest32& leaf_hash) {
  for (Part& part : parts_) {
    if (leaves_ >= part.range.begin && leaves_ < part.range.end) part.tree.Append(leaf_hash);
  }
  ++leaves_;
}

absl::StatusOr<Proof> RangeHasher::Finish() const {
  Proof proof;
  proof.reserve(parts_.size());
  for (const Part& part : parts_) {
    if (leaves_ < part.range.end) {
      return absl::FailedPreconditionError(
          Cat("a proof needs ", part.range.end, " leaves, there were ", leaves_));
    }
    proof.push_back(part.tree.Root());
  }
  return proof;
}

absl::StatusOr<Proof> ProveInclusion(uint64_t index, uint64_t size, const LeafSource& leaf) {
  ASSIGN_OR_RETURN(std::vector<LeafRange> ranges, InclusionRanges(index, size));
  return Hash(std::move(ranges), leaf);
}

absl::StatusOr<Proof> ProveConsistency(uint64_t old_size, uint64_t new_size,
                                       const LeafSource& leaf) {
  ASSIGN_OR_RETURN(std::vector<LeafRange> ranges, ConsistencyRanges(old_size, new_size));
  return Hash(std::move(ranges), leaf);
}

absl::Status VerifyInclusion(const Digest32& leaf_hash, uint64_t index, uint64_t size,
                             const Proof& proof, const Digest32& root) {
  if (index >= size)
    return absl::InvalidArgumentError(Cat("no leaf ", index, " in a tree of ", size));
  Climb at{index, size - 1};
  Digest32 hash = leaf_hash;
  bool fits = true;
  for (const Digest32& neighbour : proof) {
    if (at.last == 0) {
      fits = false;
      break;
    }
    if (at.FromLeft()) {
      hash = NodeHash(neighbour, hash);
      at.SkipLoneLevels();
    } else {
      hash = NodeHash(hash, neighbour);
    }
    at.Up();
  }
  return Shows(fits && at.last == 0 && hash == root,
               Cat("leaf ", index, " in the tree of ", size, " leaves"));
}

absl::Status VerifyConsistency(uint64_t old_size, const Digest32& old_root, uint64_t new_size,
                               const Digest32& new_root, const Proof& proof) {
  if (old_size > new_size) {
    return absl::InvalidArgumentError(
        Cat("a tree of ", new_size, " leaves does not continue one of ", old_size));
  }
  const std::string claim = Cat("that ", new_size, " leaves continue the ", old_size, " before");
  if (old_size == new_size) return Shows(proof.empty() && old_root == new_root, claim);
  if (old_size == 0) return Shows(proof.empty() && old_root == EmptyRoot(), claim);
  // The old root itself is the first node when the old tree is complete.
  const bool complete = std::has_single_bit(old_size);
  if (!complete && proof.empty()) return Shows(false, claim);
  Climb at{old_size - 1, new_size - 1};
  while ((at.node & 1) != 0) at.Up();
  Digest32 old_hash = complete ? old_root : proof.front();
  Digest32 new_hash = old_hash;
  for (size_t i = complete ? 0 : 1; i < proof.size(); ++i) {
    if (at.last == 0) return Shows(false, claim);
    if (at.FromLeft()) {
      old_hash = NodeHash(proof[i], old_hash);
      new_hash = NodeHash(proof[i], new_hash);
      at.SkipLoneLevels();
    } else {
      new_hash = NodeHash(new_hash, proof[i]);
    }
    at.Up();
  }
  return Shows(at.last == 0 && old_hash == old_root && new_hash == new_root, claim);
}

}  // namespace auspex
