// SPDX-License-Identifier: AGPL-3.0-only
// What a build for a host with a tree of its own (AUSPEX_SYSTEM_TREE, here /nix/store) shows to sandboxes: that tree, to read, beside what
// Debian's build shows, and to nobody who is shown no system files.
#include "runnerd/shown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runnerd/host_places.h"
#include "runnerd/sandbox_arguments.h"

namespace auspex::runnerd {
namespace {

std::vector<std::string> Sources(bool system_files) {
  SandboxHost host;
  host.etc_folder = "/state/etc";
  host.unit_init = "/programs/auspex-unit-init";
  SandboxSpec spec;
  spec.system_files = system_files;
  std::vector<std::string> sources;
  for (const ShownPlace& place : ShownPlaces(host, spec)) {
    if (place.source == kSystemTree) {
      EXPECT_EQ(place.destination, kSystemTree);
      EXPECT_EQ(place.kind, ShownPlace::Kind::kFolder);
    }
    sources.push_back(place.source);
  }
  return sources;
}

TEST(BuiltForATree, ItIsShownBesideTheRest) {
  ASSERT_STREQ(kSystemTree, "/nix/store");
  EXPECT_THAT(Sources(true), ::testing::ElementsAre("/state/etc", "/usr", "/nix/store",
                                                    "/programs/auspex-unit-init"));
  EXPECT_THAT(Sources(false), ::testing::ElementsAre("/state/etc", "/programs/auspex-unit-init"));
}

}  // namespace
}  // namespace auspex::runnerd
