// SPDX-License-Identifier: AGPL-3.0-only
// Hashes, roots and proofs: against the published test tree of Certificate Transparency and against
// the recursive definitions of RFC 6962 for every size up to 70.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "common/base/encoding.h"
#include "common/journal/merkle.h"
#include "common/journal/proof.h"
#include "tests/journal/naive_tree.h"

namespace auspex {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Octets(std::string_view hex) { return HexDecode(hex).value(); }
Digest32 Digest(std::string_view hex) { return ToDigest(Octets(hex)); }

// The leaves and roots that the implementations of Certificate Transparency test with.
const std::vector<std::string>& ReferenceLeaves() {
  static const auto* leaves =
      new std::vector<std::string>{"",
                                   Octets("00"),
                                   Octets("10"),
                                   Octets("2021"),
                                   Octets("3031"),
                                   Octets("40414243"),
                                   Octets("5051525354555657"),
                                   Octets("606162636465666768696a6b6c6d6e6f")};
  return *leaves;
}

constexpr const char* kReferenceRoots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

constexpr char kLeaf1[] = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
constexpr char kNode2to3[] = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
constexpr char kLeaf4[] = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
constexpr char kNode4to5[] = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
constexpr char kNode6to7[] = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
constexpr char kNode4to7[] = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

std::vector<std::string> SomeLeaves(size_t count) {
  std::vector<std::string> leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back("leaf " + std::to_string(i * i));
  return leaves;
}

LeafSource From(const std::vector<std::string>& leaves) {
  return [&leaves](uint64_t index) -> absl::StatusOr<Digest32> {
    if (index >= leaves.size()) return absl::OutOfRangeError("no such leaf");
    return LeafHash(leaves[index]);
  };
}

CompactTree TreeOf(naive::Leaves leaves) {
  CompactTree tree;
  for (const std::string& leaf : leaves) tree.Append(LeafHash(leaf));
  return tree;
}

TEST(MerkleTree, HasTheRootsOfTheReference) {
  CompactTree tree;
  EXPECT_EQ(tree.Root(), Digest(kReferenceRoots[0]));
  EXPECT_EQ(EmptyRoot(), Digest(kReferenceRoots[0]));
  for (size_t i = 0; i < 8; ++i) {
    tree.Append(LeafHash(ReferenceLeaves()[i]));
    EXPECT_EQ(tree.size(), i + 1);
    EXPECT_EQ(tree.Root(), Digest(kReferenceRoots[i + 1])) << i + 1 << " leaves";
  }
}

TEST(MerkleTree, IsTheDefinitionForEverySize) {
  const std::vector<std::string> leaves = SomeLeaves(70);
  CompactTree tree;
  for (size_t n = 0; n < leaves.size(); ++n) {
    EXPECT_EQ(tree.Root(), naive::Root(naive::Leaves(leaves).first(n))) << n;
    EXPECT_THAT(tree.subtrees(), SizeIs(static_cast<size_t>(std::popcount(n))));
    tree.Append(LeafHash(leaves[n]));
  }
}

TEST(MerkleTree, ContinuesFromItsSubtreesAndFromNothingElse) {
  const std::vector<std::string> leaves = SomeLeaves(40);
  for (size_t n = 0; n < leaves.size(); ++n) {
    const CompactTree before = TreeOf(naive::Leaves(leaves).first(n));
    auto tree = CompactTree::Continue(n, before.subtrees());
    ASSERT_TRUE(tree.has_value()) << n;
    for (size_t i = n; i < leaves.size(); ++i) tree->Append(LeafHash(leaves[i]));
    EXPECT_EQ(tree->Root(), naive::Root(leaves)) << n;
    std::vector<Digest32> wrong = before.subtrees();
    wrong.push_back({});
    EXPECT_FALSE(CompactTree::Continue(n, wrong).has_value()) << n;
  }
  // The most that there can be.
  EXPECT_TRUE(CompactTree::Continue(~uint64_t{0}, std::vector<Digest32>(64)).has_value());
  EXPECT_FALSE(CompactTree::Continue(~uint64_t{0}, std::vector<Digest32>(63)).has_value());
}

TEST(MerkleProof, AreThoseOfTheReference) {
  const LeafSource leaf = From(ReferenceLeaves());
  EXPECT_THAT(*ProveInclusion(0, 1, leaf), IsEmpty());
  EXPECT_THAT(*ProveInclusion(0, 8, leaf),
              ElementsAre(Digest(kLeaf1), Digest(kNode2to3), Digest(kNode4to7)));
  EXPECT_THAT(*ProveInclusion(5, 8, leaf),
              ElementsAre(Digest(kLeaf4), Digest(kNode6to7), Digest(kReferenceRoots[4])));
  EXPECT_THAT(*ProveInclusion(2, 3, leaf), ElementsAre(Digest(kReferenceRoots[2])));
  EXPECT_THAT(*ProveInclusion(1, 5, leaf),
              ElementsAre(Digest(kReferenceRoots[1]), Digest(kNode2to3), Digest(kLeaf4)));
  EXPECT_THAT(*ProveConsistency(1, 1, leaf), IsEmpty());
  EXPECT_THAT(*ProveConsistency(1, 8, leaf),
              ElementsAre(Digest(kLeaf1), Digest(kNode2to3), Digest(kNode4to7)));
  EXPECT_THAT(*ProveConsistency(6, 8, leaf),
              ElementsAre(Digest(kNode4to5), Digest(kNode6to7), Digest(kReferenceRoots[4])));
  EXPECT_THAT(*ProveConsistency(2, 5, leaf), ElementsAre(Digest(kNode2to3), Digest(kLeaf4)));
}

TEST(MerkleProof, EveryInclusionIsTheDefinitionAndVerifies) {
  const std::vector<std::string> all = SomeLeaves(66);
  for (size_t n = 1; n <= all.size(); ++n) {
    const naive::Leaves leaves = naive::Leaves(all).first(n);
    const Digest32 root = naive::Root(leaves);
    for (size_t m = 0; m < n; ++m) {
      const auto proof = ProveInclusion(m, n, From(all));
      ASSERT_TRUE(proof.ok()) << proof.status();
      ASSERT_EQ(*proof, naive::Path(m, leaves)) << m << " of " << n;
      ASSERT_TRUE(VerifyInclusion(LeafHash(all[m]), m, n, *proof, root).ok()) << m << " of " << n;
    }
  }
}

TEST(MerkleProof, EveryConsistencyIsTheDefinitionAndVerifies) {
  const std::vector<std::string> all = SomeLeaves(66);
  for (size_t n = 1; n <= all.size(); ++n) {
    const naive::Leaves leaves = naive::Leaves(all).first(n);
    for (size_t m = 1; m <= n; ++m) {
      const auto proof = ProveConsistency(m, n, From(all));
      ASSERT_TRUE(proof.ok()) << proof.status();
      ASSERT_EQ(*proof, naive::SubProof(m, leaves, true)) << m << " to " << n;
      ASSERT_TRUE(
          VerifyConsistency(m, naive::Root(leaves.first(m)), n, naive::Root(leaves), *proof).ok())
          << m << " to " << n;
    }
  }
}

// Another hash, another place, another size, one node more or fewer: nothing of it passes.
TEST(MerkleProof, NothingElsePassesForAnInclusion) {
  const std::vector<std::string> all = SomeLeaves(21);
  for (size_t n = 1; n <= all.size(); ++n) {
    const Digest32 root = naive::Root(naive::Leaves(all).first(n));
    for (size_t m = 0; m < n; ++m) {
      const Digest32 leaf = LeafHash(all[m]);
      const Proof proof = *ProveInclusion(m, n, From(all));
      for (size_t node = 0; node < proof.size(); ++node) {
        for (const size_t octet : {size_t{0}, size_t{31}}) {
          Proof changed = proof;
          changed[node][octet] ^= 1;
          EXPECT_TRUE(absl::IsDataLoss(VerifyInclusion(leaf, m, n, changed, root)));
        }
        Proof shorter = proof;
        shorter.erase(shorter.begin() + static_cast<long>(node));
        EXPECT_FALSE(VerifyInclusion(leaf, m, n, shorter, root).ok());
      }
      Proof longer = proof;
      longer.push_back(root);
      EXPECT_FALSE(VerifyInclusion(leaf, m, n, longer, root).ok());
      longer = proof;
      longer.insert(longer.begin(), leaf);
      EXPECT_FALSE(VerifyInclusion(leaf, m, n, longer, root).ok());
      Digest32 other = leaf;
      other[7] ^= 0x80;
      EXPECT_FALSE(VerifyInclusion(other, m, n, proof, root).ok());
      other = root;
      other[0] ^= 1;
      EXPECT_FALSE(VerifyInclusion(leaf, m, n, proof, other).ok());
      for (size_t elsewhere = 0; elsewhere < n; ++elsewhere) {
        if (elsewhere == m) continue;
        EXPECT_FALSE(VerifyInclusion(leaf, elsewhere, n, proof, root).ok());
      }
      // A tree of another size may have a leaf of the same path; none of these has.
      EXPECT_FALSE(VerifyInclusion(leaf, m, 2 * n, proof, root).ok());
    }
    EXPECT_TRUE(absl::IsInvalidArgument(VerifyInclusion(LeafHash(all[0]), n, n, {}, root)));
  }
}

TEST(MerkleProof, NothingElsePassesForAConsistency) {
  const std::vector<std::string> all = SomeLeaves(21);
  for (size_t n = 1; n <= all.size(); ++n) {
    const Digest32 root = naive::Root(naive::Leaves(all).first(n));
    for (size_t m = 1; m <= n; ++m) {
      const Digest32 old_root = naive::Root(naive::Leaves(all).first(m));
      const Proof proof = *ProveConsistency(m, n, From(all));
      for (size_t node = 0; node < proof.size(); ++node) {
        Proof changed = proof;
        changed[node][13] ^= 4;
        EXPECT_TRUE(absl::IsDataLoss(VerifyConsistency(m, old_root, n, root, changed)));
        Proof shorter = proof;
        shorter.erase(shorter.begin() + static_cast<long>(node));
        EXPECT_FALSE(VerifyConsistency(m, old_root, n, root, shorter).ok());
      }
      Proof longer = proof;
      longer.push_back(root);
      EXPECT_FALSE(VerifyConsistency(m, old_root, n, root, longer).ok());
      Digest32 other = old_root;
      other[0] ^= 1;
      EXPECT_FALSE(VerifyConsistency(m, other, n, root, proof).ok());
      other = root;
      other[31] ^= 1;
      EXPECT_FALSE(VerifyConsistency(m, old_root, n, other, proof).ok());
      // A proof to a smaller tree is none to a larger one.
      EXPECT_FALSE(VerifyConsistency(m, old_root, 4 * n, root, proof).ok());
    }
    EXPECT_TRUE(absl::IsInvalidArgument(VerifyConsistency(n + 1, root, n, root, {})));
  }
}

TEST(MerkleProof, AnythingContinuesTheEmptyTreeAndItself) {
  const Digest32 root = naive::Root(SomeLeaves(5));
  EXPECT_TRUE(VerifyConsistency(0, EmptyRoot(), 5, root, {}).ok());
  EXPECT_FALSE(VerifyConsistency(0, root, 5, root, {}).ok());
  EXPECT_FALSE(VerifyConsistency(0, EmptyRoot(), 5, root, {root}).ok());
  EXPECT_TRUE(VerifyConsistency(5, root, 5, root, {}).ok());
  EXPECT_FALSE(VerifyConsistency(5, root, 5, EmptyRoot(), {}).ok());
  EXPECT_FALSE(VerifyConsistency(5, root, 5, root, {root}).ok());
}

// Sizes near the end of what 64 bits count: the work is one step a level, with no wrap around.
TEST(MerkleProof, StaysBoundedForTheLargestTrees) {
  const uint64_t most = ~uint64_t{0};
  for (const uint64_t index : {uint64_t{0}, most / 2, most - 1}) {
    const auto ranges = InclusionRanges(index, most);
    ASSERT_TRUE(ranges.ok());
    EXPECT_LE(ranges->size(), kMaxProofNodes);
    uint64_t covered = 1;
    for (const LeafRange& range : *ranges) covered += range.end - range.begin;
    EXPECT_EQ(covered, most);
  }
  for (const uint64_t old_size : {uint64_t{1}, most / 2, most - 1}) {
    const auto ranges = ConsistencyRanges(old_size, most);
    ASSERT_TRUE(ranges.ok());
    EXPECT_LE(ranges->size(), kMaxProofNodes);
  }
  EXPECT_FALSE(InclusionRanges(most, most).ok());
  EXPECT_FALSE(ConsistencyRanges(most, most - 1).ok());
  EXPECT_FALSE(VerifyInclusion({}, most - 1, most, Proof(64), {}).ok());
  EXPECT_FALSE(VerifyConsistency(most - 1, {}, most, {}, Proof(65)).ok());
}

TEST(MerkleProof, NeedsAllItsLeaves) {
  RangeHasher hasher(*InclusionRanges(0, 3));
  hasher.Add(LeafHash("a"));
  hasher.Add(LeafHash("b"));
  EXPECT_TRUE(absl::IsFailedPrecondition(hasher.Finish().status()));
  hasher.Add(LeafHash("c"));
  EXPECT_THAT(*hasher.Finish(), ElementsAre(LeafHash("b"), LeafHash("c")));
  const auto none = ProveInclusion(
      0, 2, [](uint64_t) -> absl::StatusOr<Digest32> { return absl::DataLossError("gone"); });
  EXPECT_TRUE(absl::IsDataLoss(none.status()));
}

}  // namespace
}  // namespace auspex
