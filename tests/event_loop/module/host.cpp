// F40: loads a module, uses it, closes it and ends.
//   host <module> <program text> <1 to leave a process open>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

int use_module(const char* path, const char* text, int leave_open) {
    void* const module = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
        std::fprintf(stderr, "%s\n", ::dlerror());
        return 10;
    }
    using Run = int (*)(const char*, int);
    void* const symbol = ::dlsym(module, "module_run");
    if (symbol == nullptr) {
        return 11;
    }
    const int result = reinterpret_cast<Run>(symbol)(text, leave_open);
    return ::dlclose(module) == 0 ? result : 12;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        return 20;
    }
    const int leave_open = std::atoi(argv[3]);
    // Loaded, closed and loaded again.
    const int first = use_module(argv[1], argv[2], 0);
    return first != 0 ? first : use_module(argv[1], argv[2], leave_open);
}
