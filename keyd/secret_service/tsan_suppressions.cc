// SPDX-License-Identifier: AGPL-3.0-only
// For ./dev tsan alone. The helper has one thread of ours; GLib makes more, and was built without the tool, which sees nothing of its
// locks. Here and not in tests/tsan.supp, since the helper is started with an environment that is not the test's.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libglib-2.0.so\n"
         "called_from_lib:libgio-2.0.so\n"
         "called_from_lib:libsecret-1.so\n"
         "race:libglib-2.0.so\n"
         "race:libgio-2.0.so\n";
}
