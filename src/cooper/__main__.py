"""`python -m cooper`: the command line, as `torchrun -m cooper` and `accelerate launch -m cooper` start it in each process."""

from cooper.cli.main import main

if __name__ == "__main__":
    main()
