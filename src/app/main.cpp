#include <cstdio>

int main()
{
    std::puts("tidemark");
    return 0;
}
