// SPDX-License-Identifier: AGPL-3.0-only
#include "common/paths/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace auspex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Environment Of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

TEST(LayoutTest, HomePutsEverythingUnderOneFolder) {
  const Layout layout = Layout::Resolve({.home = "/h/"}, Of({})).value();
  EXPECT_EQ(layout.StateDir("keyd"), "/h/state/keyd");
  EXPECT_EQ(layout.Socket("keyd", "request"), "/h/run/keyd/request.sock");
  EXPECT_EQ(layout.data_dir(), "/h/data");
  EXPECT_THAT(layout.config_files(), ElementsAre("/h/worker.toml"));
  EXPECT_THAT(layout.Flags(), ElementsAre("--home", "/h"));
}

TEST(LayoutTest, VariableNamesTheHomeAndFlagWins) {
  EXPECT_EQ(Layout::Resolve({}, Of({{"AUSPEX_HOME", "/a"}}))->home(), "/a");
  EXPECT_EQ(Layout::Resolve({.home = "/b"}, Of({{"AUSPEX_HOME", "/a"}}))->home(), "/b");
  EXPECT_EQ(Layout::Resolve({.system = true}, Of({{"AUSPEX_HOME", "/a"}}))->mode(),
            Layout::Mode::kSystem);
}

TEST(LayoutTest, UserModeFollowsXdg) {
  const Layout layout =
      Layout::Resolve(
          {},
          Of({{"HOME", "/u"}, {"XDG_RUNTIME_DIR", "/run/user/7"}, {"XDG_STATE_HOME", "relative"}}))
          .value();
  EXPECT_EQ(layout.StateDir("stated"), "/u/.local/state/auspex/stated");
  EXPECT_EQ(layout.Socket("netd", "owner"), "/run/user/7/auspex/netd/owner.sock");
  EXPECT_EQ(layout.owner_config_file(), "/u/.config/auspex/worker.toml");
  EXPECT_THAT(layout.Flags(), ElementsAre());
}

TEST(LayoutTest, ExistingWorkersFoldersAreHonoured) {
  const Layout layout = Layout::Resolve({}, Of({{"HOME", "/u"},
                                                {"AUSPEXAI_WORKER_STATE_DIR", "/s"},
                                                {"AUSPEXAI_WORKER_DATA_DIR", "/d/"}}))
                            .value();
  EXPECT_EQ(layout.StateDir("keyd"), "/s/keyd");
  EXPECT_EQ(layout.data_dir(), "/d");
}

TEST(LayoutTest, RefusesWhatCannotWork) {
  EXPECT_FALSE(Layout::Resolve({.home = "/h", .system = true}, Of({})).ok());
  EXPECT_FALSE(Layout::Resolve({}, Of({})).ok());
  const auto too_long = Layout::Resolve({.home = "/" + std::string(100, 'x')}, Of({}));
  EXPECT_THAT(std::string(too_long.status().message()), HasSubstr("choose a shorter folder"));
}

}  // namespace
}  // namespace auspex
