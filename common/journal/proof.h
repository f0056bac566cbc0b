// SPDX-License-Identifier: AGPL-3.0-only
// Proofs over the journal's Merkle tree: that a record is in a tree (inclusion, RFC 6962 section
// 2.1.1), and that a tree is the continuation of an older one (consistency, 2.1.2). A proof is a
// list of at most 65 hashes. To make one, ask which ranges of leaves it is made of, and feed all
// leaf hashes once, in order, to a RangeHasher: memory stays small whatever the journal's size.
// Values and pure functions, safe from any thread; a RangeHasher from one at a time.
//
//   ASSIGN_OR_RETURN(auto ranges, InclusionRanges(index, size));
//   RangeHasher hasher(std::move(ranges));
//   for (leaf hashes 0 .. size-1) hasher.Add(leaf_hash);
//   ASSIGN_OR_RETURN(Proof proof, hasher.Finish());
//
// Indices are from 0: the record with sequence number s is leaf s - 1.
#ifndef AUSPEX_COMMON_JOURNAL_PROOF_H_
#define AUSPEX_COMMON_JOURNAL_PROOF_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/journal/digest.h"
#include "common/journal/merkle.h"

namespace auspex {

// From the lowest node up, as RFC 6962 orders them.
using Proof = std::vector<Digest32>;
// One a level, and for a consistency one more, where the old tree ends.
inline constexpr size_t kMaxProofNodes = 65;

// Leaves [begin, end), whose tree hash is one node of a proof. Never empty.
struct LeafRange {
  uint64_t begin = 0, end = 0;
  bool operator==(const LeafRange&) const = default;
};

// The nodes of PATH(index, D[size]). INVALID_ARGUMENT unless index < size.
absl::StatusOr<std::vector<LeafRange>> InclusionRanges(uint64_t index, uint64_t size);
// The nodes of PROOF(old_size, D[new_size]); none when old_size is 0 or new_size.
// INVALID_ARGUMENT unless old_size <= new_size.
absl::StatusOr<std::vector<LeafRange>> ConsistencyRanges(uint64_t old_size, uint64_t new_size);

// Hashes ranges out of one pass over the leaves.
class RangeHasher {
 public:
  explicit RangeHasher(std::vector<LeafRange> ranges);
  // The hash of leaf number leaves(). Leaves behind the last range may be left out.
  void Add(const Digest32& leaf_hash);
  uint64_t leaves() const { return leaves_; }
  // One hash a range, in the order of the ranges. FAILED_PRECONDITION when leaves are missing.
  absl::StatusOr<Proof> Finish() const;

 private:
  struct Part {
    LeafRange range;
    CompactTree tree;
  };
  std::vector<Part> parts_;
  uint64_t leaves_ = 0;
};

// The same from a function that gives the hash of leaf `index`.
using LeafSource = std::function<absl::StatusOr<Digest32>(uint64_t index)>;
absl::StatusOr<Proof> ProveInclusion(uint64_t index, uint64_t size, const LeafSource& leaf);
absl::StatusOr<Proof> ProveConsistency(uint64_t old_size, uint64_t new_size,
                                       const LeafSource& leaf);

// OK when `proof` shows that `leaf_hash` is leaf `index` of the tree of `size` leaves with `root`
// (RFC 9162, section 2.1.3.2). INVALID_ARGUMENT for sizes that cannot be, DATA_LOSS when it does
// not show it.
absl::Status VerifyInclusion(const Digest32& leaf_hash, uint64_t index, uint64_t size,
                             const Proof& proof, const Digest32& root);
// OK when `proof` shows that the tree with `new_root` begins with the tree with `old_root` (RFC
// 9162, section 2.1.4.2). Trees of the same size need the same root, an empty old tree its root;
// both take an empty proof. Errors as above.
absl::Status VerifyConsistency(uint64_t old_size, const Digest32& old_root, uint64_t new_size,
                               const Digest32& new_root, const Proof& proof);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_PROOF_H_
