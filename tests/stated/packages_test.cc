// SPDX-License-Identifier: AGPL-3.0-only
// Packages on their way from netd to runnerd: who waits, bounds, what is left behind.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/cat.h"
#include "tests/stated/fixture.h"

namespace auspex::stated {
namespace {

class PackagesTest : public HubTest {
 protected:
  PackagesTest() {
    Enrol();
    Offer(OfferNumber(1));
    outbox_ = hub_->outbox().Open();
  }
  // Waits for the item that asks for the package.
  stated::OutboxItem Asked() {
    while (true) {
      absl::StatusOr<std::optional<stated::OutboxItem>> item =
          outbox_->Next(std::chrono::seconds(1));
      if (item.ok() && item->has_value()) return **std::move(item);
    }
  }
  size_t Spooled() const {
    size_t files = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/spool"))
      ++files;
    return files;
  }
  const std::string manifest_ = std::string(64, 'a');
  std::unique_ptr<OutboxQueue::Session> outbox_;
};

TEST_F(PackagesTest, AFetchedPackageReachesWhoWaitsForIt) {
  absl::StatusOr<UniqueFd> got = absl::UnknownError("not yet");
  std::thread waiter([&] {
    got = hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; });
  });
  const stated::OutboxItem item = Asked();
  EXPECT_EQ(item.kind, OutboxKind::kPackage);
  EXPECT_EQ(item.subject, manifest_);
  {
    const std::unique_ptr<PackageSpool::Incoming> incoming = *hub_->packages().Begin(item.id);
    ASSERT_TRUE(incoming->Append("first ").ok());
    ASSERT_TRUE(incoming->Append("second").ok());
    ASSERT_TRUE(incoming->Finish().ok());
  }
  waiter.join();
  ASSERT_TRUE(got.ok()) << got.status();
  std::string text(64, '\0');
  text.resize(static_cast<size_t>(::read(got->get(), text.data(), text.size())));
  EXPECT_EQ(text, "first second");
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
  EXPECT_TRUE(hub_->packages().Get(manifest_, std::chrono::seconds(0), [] { return true; }).ok());
  ASSERT_TRUE(hub_->packages().Drop(manifest_).ok());
  ASSERT_TRUE(hub_->packages().Drop(manifest_).ok());
  EXPECT_EQ(Spooled(), 0u);
}

TEST_F(PackagesTest, AFailedFetchTellsWhoWaitsWhy) {
  absl::StatusOr<UniqueFd> got = absl::UnknownError("not yet");
  std::thread waiter([&] {
    got = hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; });
  });
  ASSERT_TRUE(hub_->outbox().Settle(Asked().id, Transient{"404 package_not_found", 0}).ok());
  waiter.join();
  EXPECT_TRUE(absl::IsNotFound(got.status()));
  EXPECT_NE(std::string(got.status().message()).find("404 package_not_found"), std::string::npos);
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(PackagesTest, AnAbandonedUploadLeavesNothing) {
  std::thread waiter([&] {
    EXPECT_FALSE(
        hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; }).ok());
  });
  const stated::OutboxItem item = Asked();
  { ASSERT_TRUE((*hub_->packages().Begin(item.id))->Append("half").ok()); }
  EXPECT_EQ(Spooled(), 0u);
  ASSERT_TRUE(hub_->outbox().Settle(item.id, Terminal{"cut_off", "connection reset"}).ok());
  waiter.join();
  EXPECT_TRUE(absl::IsNotFound(hub_->packages().Begin(item.id).status()));
}

TEST_F(PackagesTest, APackageIsBoundedInSize) {
  std::thread waiter([&] {
    EXPECT_FALSE(
        hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; }).ok());
  });
  const stated::OutboxItem item = Asked();
  {
    const std::unique_ptr<PackageSpool::Incoming> incoming = *hub_->packages().Begin(item.id);
    const std::string chunk(1024 * 1024, 'p');
    absl::Status status;
    int chunks = 0;
    while (status.ok() && chunks < 100) {
      status = incoming->Append(chunk);
      ++chunks;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(chunks, 65);
  }
  ASSERT_TRUE(hub_->outbox().Settle(item.id, Terminal{"too_large", ""}).ok());
  waiter.join();
}

TEST_F(PackagesTest, WhatComesAfterTheLastWaiterLeftLeavesNothing) {
  std::thread waiter([&] {
    EXPECT_FALSE(
        hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; }).ok());
  });
  const stated::OutboxItem item = Asked();
  {
    const std::unique_ptr<PackageSpool::Incoming> late = *hub_->packages().Begin(item.id);
    ASSERT_TRUE(late->Append("late").ok());
    ASSERT_TRUE(hub_->outbox().Settle(item.id, Terminal{"gone", ""}).ok());
    waiter.join();
    EXPECT_TRUE(absl::IsNotFound(late->Finish()));
  }
  EXPECT_EQ(Spooled(), 0u);
}

TEST_F(PackagesTest, AFloodOfUploadsIsBounded) {
  std::thread waiter([&] {
    EXPECT_FALSE(
        hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return false; }).ok());
  });
  const stated::OutboxItem item = Asked();
  {
    std::vector<std::unique_ptr<PackageSpool::Incoming>> flood;
    for (int i = 0; i < kMaxIncoming; ++i) {
      auto incoming = hub_->packages().Begin(item.id);
      ASSERT_TRUE(incoming.ok()) << incoming.status();
      flood.push_back(*std::move(incoming));
    }
    EXPECT_TRUE(absl::IsResourceExhausted(hub_->packages().Begin(item.id).status()));
    EXPECT_EQ(Spooled(), static_cast<size_t>(kMaxIncoming));
  }
  EXPECT_EQ(Spooled(), 0u);
  EXPECT_TRUE(hub_->packages().Begin(item.id).ok());
  ASSERT_TRUE(hub_->outbox().Settle(item.id, Terminal{"enough", ""}).ok());
  waiter.join();
}

TEST_F(PackagesTest, OnlyPackagesOfUnitsInHandAreFetched) {
  EXPECT_TRUE(absl::IsNotFound(
      hub_->packages()
          .Get(std::string(64, 'b'), std::chrono::seconds(60), [] { return false; })
          .status()));
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(PackagesTest, WhoWentAwayIsNotFetchedFor) {
  EXPECT_TRUE(absl::IsCancelled(
      hub_->packages().Get(manifest_, std::chrono::seconds(60), [] { return true; }).status()));
  EXPECT_EQ(Number("SELECT COUNT(*) FROM outbox"), 0);
}

TEST_F(PackagesTest, LeftoversAreCleanedAtStart) {
  outbox_.reset();
  hub_.reset();
  { std::ofstream(folder_.path() + "/spool/" + manifest_ + ".tgz.partial") << "x"; }
  Reopen();
  EXPECT_EQ(Spooled(), 0u);
}

}  // namespace
}  // namespace auspex::stated
