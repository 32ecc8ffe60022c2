"""The oracle: every case evaluated with mace-torch. Runs only where mace-torch 0.3.16 is installed."""

import os
import warnings

# e3nn 0.4.4 ships its constants as a file that current PyTorch only reads when told so; here alone it is
os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
warnings.filterwarnings("ignore")  # mace-torch and e3nn warn about their own dependencies
