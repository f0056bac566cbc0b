// SPDX-License-Identifier: AGPL-3.0-only
// Settings that are read while somebody writes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "common/config/live.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// Much longer than a writer's steps take here.
constexpr auto kSettles = 400ms;
constexpr char kOwners[] =
    "[executor]\nmode = \"provisioned\"\n[executor.tenants]\nevil = \"off\"\n";

class LiveConfigTest : public ::testing::Test {
 protected:
  LiveConfigTest() { Write(kOwners); }
  void Write(std::string_view text) { std::ofstream(file_) << text; }
  LiveConfig Open() {
    const Environment none = [](std::string_view) { return std::nullopt; };
    return {Layout::Resolve({.home = folder_.path()}, none).value(), none, kSettles};
  }
  // What a reader is told that comes while `writer` is at work.
  template <typename Writer>
  absl::StatusOr<Config> LoadedMeanwhile(LiveConfig& live, Writer writer) {
    std::atomic<bool> begun{false};
    std::jthread thread([&] { writer(begun); });
    while (!begun) std::this_thread::yield();
    return live.Load();
  }
  testing::TempDir folder_;
  const std::string file_ = folder_ / "worker.toml";
};

TEST_F(LiveConfigTest, AFileThatIsEmptyForAMomentSaysNothing) {
  LiveConfig live = Open();
  const Config config = LoadedMeanwhile(live, [&](std::atomic<bool>& begun) {
                          Write("");
                          begun = true;
                          std::this_thread::sleep_for(30ms);
                          Write(kOwners);
                        }).value();
  EXPECT_EQ(config.execution_policy, ExecutionPolicy::kProvisioned);
  EXPECT_EQ(config.tenant_policies.at("evil"), ExecutionPolicy::kOff);
}

TEST_F(LiveConfigTest, AFileThatEndsEarlyRefusesNoTenantLess) {
  LiveConfig live = Open();
  const std::string later = std::string(kOwners) + "lab = \"provisioned\"\n";
  const Config config = LoadedMeanwhile(live, [&](std::atomic<bool>& begun) {
                          Write(later.substr(0, later.find("[executor.tenants]")));
                          begun = true;
                          std::this_thread::sleep_for(30ms);
                          Write(later);
                        }).value();
  EXPECT_EQ(config.tenant_policies.at("evil"), ExecutionPolicy::kOff);
  EXPECT_EQ(config.tenant_policies.at("lab"), ExecutionPolicy::kProvisioned);
}

TEST_F(LiveConfigTest, AFileThatIsPutAsideForAMomentIsNotMissing) {
  LiveConfig live = Open();
  const Config config = LoadedMeanwhile(live, [&](std::atomic<bool>& begun) {
                          rename(file_.c_str(), (file_ + "~").c_str());
                          begun = true;
                          std::this_thread::sleep_for(30ms);
                          Write(kOwners);
                        }).value();
  EXPECT_EQ(config.execution_policy, ExecutionPolicy::kProvisioned);
}

TEST_F(LiveConfigTest, WhatStaysCounts) {
  LiveConfig live = Open();
  Write("[executor]\nmode = \"off\"\n");
  EXPECT_EQ(live.Load().value().execution_policy, ExecutionPolicy::kOff);
  Write("[executor]\nmode = \"perhaps\"\n");
  EXPECT_THAT(std::string(live.Load().status().message()), HasSubstr("worker.toml:2"));
  unlink(file_.c_str());
  EXPECT_EQ(live.Load().value().execution_policy, ExecutionPolicy::kSynthetic);
  Write(kOwners);
  EXPECT_EQ(live.Load().value().execution_policy, ExecutionPolicy::kProvisioned);
}

TEST_F(LiveConfigTest, WhoeverMayNotWaitIsToldWhatCountedUntilTheChangeCounts) {
  LiveConfig live = Open();
  Write("[executor]\nmode = \"off\"\n");
  EXPECT_EQ(live.Now().value().execution_policy, ExecutionPolicy::kProvisioned);
  std::this_thread::sleep_for(kSettles);
  EXPECT_EQ(live.Now().value().execution_policy, ExecutionPolicy::kOff);
}

TEST_F(LiveConfigTest, AFileThatNeverStandsStillIsTakenAtLast) {
  LiveConfig live = Open();
  std::jthread writer([&](const std::stop_token& stop) {
    for (int slots = 1; !stop.stop_requested(); slots = slots % 60 + 1) {
      const std::string next = file_ + ".new";
      std::ofstream(next) << "[resources]\nslots = " << slots << "\n";
      rename(next.c_str(), file_.c_str());
      std::this_thread::sleep_for(10ms);
    }
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(live.Load().value().execution_policy, ExecutionPolicy::kSynthetic);
}

}  // namespace
}  // namespace auspex
