// SPDX-License-Identifier: AGPL-3.0-only
// What the architecture tests look at: the sources, the build's link lines and the programs' own
// headers. Plain functions, for one thread; what is missing makes the calling test fail with its
// name.
#ifndef AUSPEX_TESTS_ARCHITECTURE_TREE_H_
#define AUSPEX_TESTS_ARCHITECTURE_TREE_H_

#include <set>
#include <string>
#include <vector>

namespace auspex::architecture {

// Folders of the tree that hold code of ours.
const std::vector<std::string>& CodeFolders();

struct Source {
  std::string path;  // relative to the tree, "keyd/main.cc"
  std::string text;
};
// Files below the code folders whose names end in one of `suffixes`, sorted by path.
std::vector<Source> Sources(const std::vector<std::string>& suffixes);

// What the linker gets for a program: the archives and libraries of its LINK_LIBRARIES line in
// build.ninja, each cut to its name
// ("libauspex_wire.a", "libsodium.so", "-lpthread"). Empty when the program is no target of this
// build.
std::set<std::string> LinkInputs(const std::string& program);

// The names of the shared libraries that a program needs, as its dynamic section has them
// ("libsodium.so.23").
std::set<std::string> Needed(const std::string& program);
// The same with everything that those need in turn, as the loader resolves it.
std::set<std::string> NeededInAll(const std::string& program);

// The members of `names` that begin with one of `prefixes`.
std::set<std::string> BeginningWith(const std::set<std::string>& names,
                                    const std::vector<std::string>& prefixes);

}  // namespace auspex::architecture

#endif  // AUSPEX_TESTS_ARCHITECTURE_TREE_H_
