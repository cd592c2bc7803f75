# Does drawing help a small network whose picture tower never saw a distance? `make reproduce-nano` runs the whole study; what is
# compared, and what was registered before the first run, stands in docs/explanation/study.md.
#
# Arms, all from one network a seed, with lessons in finding (names and places, no metres) behind it:
#   base           direct answers
#   amg-only       direct answers after stage 1
#   perception     both maps before every answer
#   text-base      words, without stage 1
#   text           words, after stage 1 and the lessons in reading that `interleaved` has: what differs is drawing alone
#   interleaved    words and the maps that it chooses
# Each arm learns from the same N traces in as many steps; the best evaluation counts. Whatever is stopped goes on: a finished file
# is not made again, an unfinished run continues from its checkpoint. One seed on one core at a time: `make -j2` with OMP_NUM_THREADS=1.
#
# N: traces of the primary comparison; SWEEP: further numbers of traces, of text and interleaved. SCENES, TESTS: scenes to learn from and
# to be asked about. PRIMARY: questions about distances and sizes; OTHERS: questions of all categories. DRAWN: scenes whose maps the model
# draws, to learn to read them. FLAGGED: questions of reinforcement. FINDING to GRPO: steps. MORE: further overrides of every training.
COOPER ?= .venv/bin/cooper
OUT ?= runs/study
DATA ?= data/study
SEEDS ?= 1 2
N ?= 1000
SWEEP ?= 500 4000
SCENES ?= 5000
TESTS ?= 1000
PRIMARY ?= 4000
OTHERS ?= 2000
DRAWN ?= 1500
FLAGGED ?= 400
FINDING ?= 1200
MAPS ?= 3000
READING ?= 500
OWN ?= 300
ARM ?= 400
GRPO ?= 40
WORKERS ?= 2
MORE ?=

ARMS := base amg-only perception text-base text interleaved
DRAWING_ARMS := text interleaved
USED = $(SCENES)
ON = data=$(DATA)/train val=$(DATA)/val scenes=$(USED)
SFT = $(COOPER) train sft --config recipes/study/words.yaml $(ON) seed=$(SEED) latents=$(OUT)/$(SEED)/latents
# of the paths OUT/SEED/NAME/.done and OUT/SEED/N/NAME/.done
SEED = $(firstword $(subst /, ,$(patsubst $(OUT)/%,%,$@)))
TRACES = $(word 2,$(subst /, ,$(patsubst $(OUT)/%,%,$@)))
ARM_ = $(SFT) init=$(OUT)/$(SEED)/$1/model out=$(@D) "mixture={$2: 1}" traces=$(TRACES) optimiser.steps=$(ARM) \
	optimiser.learning_rate=1.0e-3 record.eval_every=80 record.best=$2_accuracy
EVAL = $(COOPER) eval scenes --data $(DATA)/test --batch 64 --traces 50 --maps 0
DISTANCES := camera_distance,object_distance,height,size
comma := ,
empty :=
list = $(subst $(empty) ,$(comma),$(strip $1))
runs = $(call list,$(foreach s,$(SEEDS),$(OUT)/$s/$1:$2))

.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:
.PHONY: study gates tower primary
study: primary $(foreach s,$(SEEDS),$(foreach m,$(ARMS),$(OUT)/$s/$(N)/eval-$m/all/report.json) $(OUT)/$s/$(N)/controls/.done \
	$(foreach n,$(SWEEP),$(foreach m,$(DRAWING_ARMS),$(OUT)/$s/$n/eval-$m/distances/report.json)) \
	$(foreach m,$(DRAWING_ARMS),$(OUT)/$s/$(N)/eval-$m-rl/all/report.json $(OUT)/$s/$(N)/eval-$m-rl/distances/report.json))
	$(COOPER) study --out $(OUT)/page \
		base=$(call runs,$(N)/eval-base/all,direct) amg-only=$(call runs,$(N)/eval-amg-only/all,direct) \
		perception=$(call runs,$(N)/eval-perception/all,perception) text-base=$(call runs,$(N)/eval-text-base/all,text) \
		text=$(call runs,$(N)/eval-text/all,text) interleaved=$(call runs,$(N)/eval-interleaved/all,interleaved) \
		text-rl=$(call runs,$(N)/eval-text-rl/all,text) interleaved-rl=$(call runs,$(N)/eval-interleaved-rl/all,interleaved) \
		--beside "published (7B), interleaved over base, spatial mean=+6.91" \
		--beside "published (7B), AMG-only over base, distance and size=+7.92" \
		--beside "published (7B), interleaved over base, general mean=+4.47"
primary: $(foreach s,$(SEEDS),$(foreach m,$(ARMS),$(OUT)/$s/$(N)/eval-$m/distances/report.json))
	$(COOPER) study --out $(OUT)/primary \
		$(foreach m,text-base text,$m=$(call runs,$(N)/eval-$m/distances,text)) interleaved=$(call runs,$(N)/eval-interleaved/distances,interleaved)
gates: $(foreach s,$(SEEDS),$(OUT)/$s/gates/.done)
tower: $(OUT)/tower/.done

# these read maps that the model drew, so they use the scenes that it drew
$(OUT)/%/lessons/.done $(OUT)/%/perception/.done $(OUT)/%/interleaved/.done: private USED = $(DRAWN)

# data; the stamp says that the last scene is there
$(DATA)/train/.done:
	$(COOPER) scenes render --format 3 --count $(SCENES) --split train --seed 31 --workers $(WORKERS) --out $(@D) && touch $@
$(DATA)/val/.done:
	$(COOPER) scenes render --format 3 --count 200 --split val --seed 32 --workers $(WORKERS) --out $(@D) && touch $@
$(DATA)/test/.done:
	$(COOPER) scenes render --format 3 --count $(TESTS) --split test --seed 33 --workers $(WORKERS) --out $(@D) && touch $@
$(DATA)/asked/.done:
	$(COOPER) scenes render --format 3 --count $$(( $(FLAGGED) / 4 )) --split train --seed 34 --workers $(WORKERS) --out $(@D) && touch $@

# what all arms share
$(OUT)/tower/.done: $(DATA)/train/.done $(DATA)/val/.done
	$(COOPER) train vision --config recipes/study/tower.yaml $(ON) out=$(@D) $(MORE) && touch $@
$(OUT)/%/fresh/.done: $(OUT)/tower/.done
	$(COOPER) train amg --config recipes/study/fresh.yaml $(ON) vision=$(OUT)/tower/model seed=$* out=$(@D) \
		latents=$(OUT)/$*/latents $(MORE) optimiser.steps=1 && touch $@
$(OUT)/%/finding/.done: $(OUT)/%/fresh/.done
	$(SFT) init=$(OUT)/$*/fresh/model out=$(@D) "mixture={finding: 1}" optimiser.steps=$(FINDING) $(MORE) && touch $@
$(OUT)/%/maps/.done: $(OUT)/%/finding/.done
	$(SFT) init=$(OUT)/$*/finding/model out=$(@D) "mixture={replay: 87, finding: 13}" optimiser.steps=$(MAPS) $(MORE) && touch $@
$(OUT)/%/reading/.done: $(OUT)/%/maps/.done
	$(SFT) init=$(OUT)/$*/maps/model out=$(@D) "mixture={reading: 7, finding: 1, replay: 2}" optimiser.steps=$(READING) \
		optimiser.learning_rate=1.0e-3 $(MORE) && touch $@
$(OUT)/%/drawings/.done: $(OUT)/%/reading/.done
	$(COOPER) data draw --data $(DATA)/train --model $(OUT)/$*/reading/model --limit $(DRAWN) --out $(@D) && touch $@
$(OUT)/%/lessons/.done: $(OUT)/%/drawings/.done
	$(SFT) init=$(OUT)/$*/reading/model out=$(@D) drawings=$(OUT)/$*/drawings own=0.7 \
		"mixture={reading: 7, finding: 1, replay: 2}" optimiser.steps=$(OWN) optimiser.learning_rate=1.0e-3 $(MORE) && touch $@
$(OUT)/%/gates/.done: $(OUT)/%/lessons/.done
	$(COOPER) gates --data $(DATA)/val --model $(OUT)/$*/lessons/model --tower $(OUT)/tower/model --train $(DATA)/train \
		--labels $(N) --out $(@D); status=$$?; test $$status -eq 0 -o $$status -eq 3 && touch $@

# arms: OUT/SEED/N/ARM
$(OUT)/%/base/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/finding/.done
	$(call ARM_,finding,direct) $(MORE) && touch $@
$(OUT)/%/amg-only/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/maps/.done
	$(call ARM_,maps,direct) $(MORE) && touch $@
$(OUT)/%/perception/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/lessons/.done
	$(call ARM_,lessons,perception) drawings=$(OUT)/$(SEED)/drawings own=0.5 $(MORE) && touch $@
$(OUT)/%/text-base/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/finding/.done
	$(call ARM_,finding,text) $(MORE) && touch $@
$(OUT)/%/text/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/lessons/.done
	$(call ARM_,lessons,text) $(MORE) && touch $@
$(OUT)/%/interleaved/.done: $$(OUT)/$$(firstword $$(subst /, ,$$*))/lessons/.done
	$(call ARM_,lessons,interleaved) drawings=$(OUT)/$(SEED)/drawings own=0.5 $(MORE) && touch $@

# reinforcement of words and of words with maps, on questions about other scenes
$(OUT)/%/flags/flags.jsonl: $(OUT)/%/interleaved/.done $(DATA)/asked/.done
	$(COOPER) data flags --by category --data $(DATA)/asked --model $(OUT)/$*/interleaved/model --out $(@D) --seed 7 \
		--limit $(FLAGGED) --samples 4
GRPO_ = $(COOPER) train grpo --config recipes/nano/grpo.yaml data=$(DATA)/asked val=$(DATA)/val steps=$(GRPO) seed=$(SEED) \
	questions_seed=7 sampling.max_tokens=128 flags=$(OUT)/$(SEED)/$(TRACES)/flags/flags.jsonl out=$(@D)
$(OUT)/%/interleaved-rl/.done: $(OUT)/%/flags/flags.jsonl
	$(GRPO_) init=$(OUT)/$*/interleaved/model $(MORE) && touch $@
$(OUT)/%/text-rl/.done: $(OUT)/%/flags/flags.jsonl $(OUT)/%/text/.done
	$(GRPO_) init=$(OUT)/$*/text/model mode=text rewards.exploration=0 $(MORE) && touch $@

# answers: OUT/SEED/N/eval-ARM/{distances,all}
MODE = $(strip $(if $(filter base amg-only,$1),direct,$(if $(filter text%,$1),text,$(if $(filter perception,$1),perception,interleaved))))
ARM_OF = $(patsubst eval-%,%,$(notdir $(patsubst %/,%,$(dir $(@D)))))
$(OUT)/%/distances/report.json: $$(subst /eval-,/,$(OUT)/$$*)/.done $(DATA)/test/.done
	$(EVAL) --model $(subst /eval-,/,$(OUT)/$*)/model --mode $(call MODE,$(ARM_OF)) --limit $(PRIMARY) --categories $(DISTANCES) --out $(@D)
$(OUT)/%/all/report.json: $$(subst /eval-,/,$(OUT)/$$*)/.done $(DATA)/test/.done
	$(EVAL) --model $(subst /eval-,/,$(OUT)/$*)/model --mode $(call MODE,$(ARM_OF)) --limit $(OTHERS) --out $(@D)
$(OUT)/%/controls/.done: $(OUT)/%/interleaved/.done $(DATA)/test/.done
	$(EVAL) --model $(OUT)/$*/interleaved/model --mode interleaved --limit $(PRIMARY) --categories $(DISTANCES) \
		--given-maps own,none,true,blank,noise,swap,repeat --out $(@D) && touch $@
