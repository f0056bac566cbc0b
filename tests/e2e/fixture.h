// SPDX-License-Identifier: AGPL-3.0-only
// LabTest: a running coordinator in a folder of its own, and the proof at the end of each test that
// nothing is left of it.
#ifndef AUSPEX_TESTS_E2E_FIXTURE_H_
#define AUSPEX_TESTS_E2E_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/lab.h"

namespace auspex::e2e {

class LabTest : public ::testing::Test {
 protected:
  void SetUp() override {
    coordinator_ =
        std::make_unique<Coordinator>(folder_ / "c", std::vector<std::string>{"--idp", "fake"});
    ASSERT_NO_FATAL_FAILURE(coordinator_->Start());
  }

  void TearDown() override {
    if (HasFailure()) {
      for (const auto& worker : workers_) PrintTail(worker->log());
      PrintTail(folder_ / "c/log");
    }
    // Destruction kills what a failed test left running.
    workers_.clear();
    coordinator_.reset();
    KillOrphans();
    EXPECT_THAT(ProcessesNaming(folder_.path()), ::testing::IsEmpty());
  }

  // An enrolled worker whose daemon does not run yet.
  Worker& AddWorker(Worker::Settings settings = {}) {
    if (settings.url.empty()) settings.url = coordinator_->url();
    workers_.push_back(
        std::make_unique<Worker>(folder_ / ("w" + std::to_string(workers_.size())), settings));
    workers_.back()->Bootstrap();
    return *workers_.back();
  }

  static void PrintTail(const std::string& log) {
    const std::string text = ReadText(log);
    constexpr size_t kMost = 6000;
    std::printf("---- %s\n%s\n", log.c_str(),
                text.substr(text.size() > kMost ? text.size() - kMost : 0).c_str());
  }

  TempFolder folder_;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// A package whose executor is the shell script `text`; `more` are further members of its manifest.
inline Package ScriptPackage(const std::string& label, const std::string& text,
                             const Json& more = Json::object()) {
  TempFolder scratch;
  const std::string folder = scratch / "package";
  EXPECT_EQ(RunCommand({"/bin/mkdir", folder}).code, 0);
  WriteText(folder + "/run.sh", "#!/bin/sh\n" + text);
  EXPECT_EQ(RunCommand({"/bin/chmod", "755", folder + "/run.sh"}).code, 0);
  Json manifest = Json::parse(ReadText(ExamplePackage("noop") + "/manifest.json"), nullptr, false);
  EXPECT_TRUE(manifest.is_object()) << "noop is not staged";
  manifest["experiment_id"] = label;
  manifest["executor"]["command"] = {"./run.sh"};
  manifest.update(more);
  return PackFolder(folder, manifest);
}

}  // namespace auspex::e2e

#endif  // AUSPEX_TESTS_E2E_FIXTURE_H_
