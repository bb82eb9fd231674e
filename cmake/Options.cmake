# Warnings, hardening and sanitizers for every target of the house.
add_library(tidemark_options INTERFACE)
target_compile_options(tidemark_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-align -Wformat=2 -Wimplicit-fallthrough -Werror)
target_include_directories(tidemark_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
# Clang blames std::stable_sort's callers for what libstdc++ 12 does inside it.
target_compile_options(tidemark_options INTERFACE
    $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)

add_library(tidemark_test_options INTERFACE)
set(TIDEMARK_SANITIZE "" CACHE STRING "address,undefined | thread | empty")
if(TIDEMARK_SANITIZE)
    target_compile_options(tidemark_options INTERFACE -fsanitize=${TIDEMARK_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(tidemark_options INTERFACE -fsanitize=${TIDEMARK_SANITIZE})
    # GCC warns falsely about instrumented code (documented with -fsanitize).
    target_compile_options(tidemark_options INTERFACE
        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    # What is under test is checked for undefined behaviour and optimised; test code, which is most
    # of what is compiled and takes longest, is not.
    target_compile_options(tidemark_test_options INTERFACE -O0)
    if(TIDEMARK_SANITIZE MATCHES "undefined")
        target_compile_options(tidemark_test_options INTERFACE -fno-sanitize=undefined)
    endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(tidemark_options INTERFACE -fstack-protector-strong -fPIE
        -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS)
    target_link_options(tidemark_options INTERFACE -pie -Wl,-z,relro,-z,now)
endif()

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_link_options(-fuse-ld=mold)
endif()
